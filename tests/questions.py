"""What a template asks, and which answers it takes: as Copier judges them.

A default may change: a project keeps the answer that it has. A new question needs a default: it is
what a project gets from `copier update --defaults`.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import copier
import yaml

from tests.repository import git
from tests.test_answers import KEPT, REFUSED

# All that are near to where something is refused, and some of each other block.
CHARACTERS = [
    *range(0x600),
    *range(0x2000, 0x2100),
    *range(0xFE00, 0x10000),
    *range(0x600, 0x110000, 511),
]
LENGTHS = (1, 2, 50, 64, 99, 100, 101, 255, 256, 299, 300, 301)
TEXTS = [
    *REFUSED,
    *KEPT,
    *(character * length for character in "xé\U0001f980" for length in LENGTHS),
    *(f"a{chr(code)}b" for code in CHARACTERS),
]


def checkout(template: Path, ref: str, to: Path) -> Path:
    git(
        "clone",
        "--quiet",
        "--config",
        "advice.detachedHead=false",
        f"--branch={ref}",
        str(template),
        str(to),
    )
    shutil.rmtree(to / ".git")
    return to


def configuration(folder: Path) -> dict[str, Any]:
    config = yaml.safe_load((folder / "copier.yml").read_text())
    assert isinstance(config, dict)
    return config


def questions(folder: Path) -> dict[str, dict[str, Any]]:
    """Those that are asked: the others are not recorded."""
    return {
        name: question
        for name, question in configuration(folder).items()
        if not name.startswith("_") and question.get("when") is not False
    }


@cache
def accepted(folder: Path) -> dict[str, set[str]]:
    """Which of the TEXTS each question takes: Copier renders the validators, once for each text."""
    config = configuration(folder) | {"_subdirectory": "questions", "_exclude": []}
    judged = {name: question.get("validator", "") for name, question in questions(folder).items()}
    with tempfile.TemporaryDirectory() as scratch:
        probe, verdicts = Path(scratch, "probe"), Path(scratch, "verdicts")
        shutil.copytree(folder, probe)
        (probe / "copier.yml").write_text(yaml.safe_dump(config, sort_keys=False))
        (probe / "questions").mkdir()
        for name, validator in judged.items():
            refusal = (
                f"{{% set refusal %}}{validator}{{% endset %}}{{{{ refusal | trim | length }}}}"
            )
            loop = (
                f"{{% for answer in texts %}}{{% set {name} = answer %}}{refusal}\n{{% endfor %}}"
            )
            (probe / "questions" / f"{name}.jinja").write_text(loop)
        copier.run_copy(str(probe), verdicts, {"texts": TEXTS}, defaults=True, quiet=True)
        lengths = {name: (verdicts / name).read_text().split() for name in judged}
    return {
        name: {text for text, length in zip(TEXTS, lengths[name], strict=True) if length == "0"}
        for name in judged
    }


def values(question: dict[str, Any]) -> set[object]:
    choices = question.get("choices", [])
    return set(choices.values() if isinstance(choices, dict) else choices)


def broken(before: Path, now: Path) -> list[str]:
    """The questions that no longer take what they took, or that nobody has an answer to."""
    old, new = questions(before), questions(now)
    found = [name for name in old if name not in new or not as_wide(old[name], new[name])]
    found += [name for name in new if "default" not in new[name]]
    if found:
        return found
    return [name for name in old if not accepted(before)[name] <= accepted(now)[name]]


def as_wide(old: dict[str, Any], new: dict[str, Any]) -> bool:
    same = all(old.get(key) == new.get(key) for key in ("type", "multiselect", "when"))
    return same and ("choices" in old) == ("choices" in new) and values(old) <= values(new)


def owned_paths(folder: Path) -> set[str]:
    """The paths that an update does not touch."""
    return {
        line.strip()
        for entry in configuration(folder)["_exclude"]
        if "_copier_operation" in entry
        for line in entry.splitlines()
        if line.strip().startswith("/")
    }
