"""The documents of a rendering, and the snippets in them."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
# The first line of a snippet that is a file, or what is added to one.
FILE_NAME = re.compile(r"# (\S+\.(?:py|env|example))\n")


@dataclass(frozen=True)
class Snippet:
    """A block of a document. `path` is the file that it is, if its first line names one."""

    document: str
    heading: str
    language: str
    path: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.heading}: {self.path or self.text.splitlines()[0]}"


def documents(project: Path) -> list[Path]:
    return [project / "README.md", *sorted((project / "docs").glob("*.md"))]


def snippets(document: Path, language: str) -> Iterator[Snippet]:
    text = document.read_text()
    for block in BLOCK.finditer(text):
        if block[1] != language:
            continue
        headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text[: block.start()]), re.MULTILINE)
        content = textwrap.dedent(block[2])
        named = FILE_NAME.match(content)
        yield Snippet(
            document.name,
            headings[-1],
            language,
            named[1] if named else None,
            content[named.end() :] if named else content,
        )
