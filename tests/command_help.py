"""The help of each command, as docs/operations.md shows it below the heading of the command.

`uv run python -m tests.command_help PROJECT` writes it into the template's document. PROJECT is a
rendering with the samples and with its virtual environment.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.repository import TOP

DOCUMENT = Path("docs", "operations.md")
HEADING = re.compile(
    r"^### (app(?: [a-z-]+)+)\n\n(?:```text\nUsage: .*?^```\n\n)?", re.MULTILINE | re.DOTALL
)
# Run in a rendering: the help of the template's commands by their names, groups left out.
PRINT_HELP = """
import json

from typer.main import get_command
from typer.testing import CliRunner

from app.core.command_line.domains import find_domains
from app.core.commands import command_line


def walk(command, *names):
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, *names, name)
    if not hasattr(command, "commands"):
        yield names


found = {}
for names in walk(get_command(command_line)):
    if names[0] not in find_domains():
        ran = CliRunner().invoke(command_line, [*names, "--help"], prog_name="app")
        found[" ".join(["app", *names])] = ran.stdout.rstrip()
print("help:", json.dumps(found))
"""


def parse_help(printed: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(printed.rpartition("help:")[2])
    return {name: re.sub(r"[ ]+$", "", text, flags=re.MULTILINE) for name, text in found.items()}


def with_help(document: str, help_of: dict[str, str]) -> str:
    """The document with the help of each command. A heading of none is a `KeyError`."""
    return HEADING.sub(
        lambda found: f"### {found[1]}\n\n```text\n{help_of[found[1]]}\n```\n\n", document
    )


def documented(document: str) -> set[str]:
    return {found[1] for found in HEADING.finditer(document)}


def main() -> None:
    project = Path(sys.argv[1])
    command = [str(project / ".venv" / "bin" / "python"), "-c", PRINT_HELP]
    printed = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    document = TOP / "template" / DOCUMENT
    document.write_text(with_help(document.read_text(), parse_help(printed.stdout)))


if __name__ == "__main__":
    main()
