"""Look at revisions for what blocks a busy table, or breaks the version that still runs."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic.script import Script
from sqlalchemy import make_url

from app.core import driver
from app.core.command_line.linting import rules
from app.core.command_line.linting.findings import Finding, apply_exemptions
from app.core.command_line.linting.recording import record
from app.core.command_line.linting.row_changes import changes_of_all_rows

UNREADABLE = "The upgrade cannot be run without a database, what comes after this is not checked"


@dataclass(frozen=True)
class Linted:
    """A revision, and what was found in it."""

    revision: str
    path: str
    findings: list[Finding]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the findings for `--json`."""
        for each in self.findings:
            yield {"revision": self.revision, "path": self.path, **asdict(each)}


def lint(revisions: Iterable[Script]) -> list[Linted]:
    return [Linted(each.revision, shown(each.path), lint_revision(each)) for each in revisions]


def lint_revision(revision: Script) -> list[Finding]:
    dialect = make_url(driver.DEFAULT_URL).get_dialect()()
    steps, unreadable = record(revision, dialect)
    findings = [*rules.check(steps, dialect), *changes_of_all_rows(steps)]
    if unreadable:
        line = steps[-1].line if steps else 1
        findings.append(Finding(line, "unreadable", f"{UNREADABLE}: {unreadable}."))
    return apply_exemptions(findings, Path(revision.path).read_text(encoding="utf-8"))


def shown(path: str) -> str:
    """Return the path from the current folder, if it is below it."""
    file = Path(path)
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
