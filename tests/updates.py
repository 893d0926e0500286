"""Updates of a project, and what it consists of."""

import re
from pathlib import Path

import copier
import yaml

from tests.repository import WORK, commit, git

# As the end of `_exclude` in copier.yml has them.
OWNED = (
    "README.md",
    "app/api.py",
    "app/domains/",
    "app/main.py",
    "app/settings.py",
    "migrations/versions/",
    "tests/domains/",
    "tests/routes.txt",
    "tests/settings.env",
    "tests/statements.txt",
)
Answers = dict[str, str | bool]
CONFLICT = re.compile(r"^(DD|AU|UD|UA|DU|AA|UU) |\.rej$", flags=re.MULTILINE)


def files(project: Path) -> dict[str, Path]:
    """What git would commit, by path."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=project)
    return {path: project / path for path in listed.split("\0") if path}


def contents(project: Path) -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in files(project).items() if file.exists()}


def owned(project: Path) -> dict[str, bytes]:
    return {path: text for path, text in contents(project).items() if path.startswith(OWNED)}


def not_owned(project: Path) -> dict[str, bytes]:
    return {path: text for path, text in contents(project).items() if not path.startswith(OWNED)}


def answers(project: Path) -> dict[str, object]:
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return {name: answer for name, answer in recorded.items() if not name.startswith("_")}


def update(project: Path, ref: str | copier.VcsRef = WORK, **data: str | bool) -> None:
    """Updates and commits; a conflict is a failure."""
    copier.run_update(project, data, vcs_ref=ref, defaults=True, overwrite=True, quiet=True)
    status = git("status", "--porcelain", cwd=project)
    assert not CONFLICT.search(status), status
    commit(project)


def point_to(template: Path, project: Path) -> None:
    """Lets the next update come from another clone of the template."""
    file = project / ".copier-answers.yml"
    text = re.sub("^_src_path: .*$", f"_src_path: {template}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)
