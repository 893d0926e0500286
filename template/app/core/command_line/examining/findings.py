"""What an examination of the database finds, and the checks that are one query."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.output import FAILED, WARNED


class Severity(StrEnum):
    """From the worst on. A note says what could not be examined."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `mend` is a statement, a command or a line of a model."""

    check: str
    severity: Severity
    what: str
    why: str
    mend: str


Check = Callable[[AsyncConnection], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True)
class QueryCheck:
    """A query of which each row is a finding.

    The columns fill the braces in `what` and `mend`; one named `severity` replaces the check's.
    `limits` are the parameters of the query, `before` is a statement that it needs, and `grant`
    the statement that lets a role execute it.
    """

    name: str
    severity: Severity
    query: str
    what: str
    why: str
    mend: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    before: str = ""
    grant: str = ""

    async def __call__(self, connection: AsyncConnection) -> list[Finding]:
        if self.before:
            await connection.execute(text(self.before))
        rows = await connection.execute(text(self.query), dict(self.limits))
        return [self.finding_of(dict(row)) for row in rows.mappings()]

    def finding_of(self, row: dict[str, Any]) -> Finding:
        severity = Severity(row.pop("severity", self.severity))
        what, mend = self.what.format(**row), self.mend.format(**row)
        return Finding(self.name, severity, what, self.why, mend)


@dataclass(frozen=True)
class SafeSetting:
    """A setting of the server, and the values that are safe."""

    name: str
    safe: Callable[[str], bool]
    severity: Severity
    why: str
    mend: str


def unsafe_settings(settings: Sequence[SafeSetting], values: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each setting whose value is not safe. A server may lack some."""
    return [
        Finding(
            "unsafe-setting",
            each.severity,
            f"The server has {each.name} = {values[each.name] or 'nothing'}.",
            each.why,
            each.mend,
        )
        for each in settings
        if each.name in values and not each.safe(values[each.name])
    ]


def exit_status(findings: Iterable[Finding]) -> int:
    """Return the exit status for the worst of the findings: hints and notes are fine."""
    found = {each.severity for each in findings}
    if Severity.ERROR in found:
        return FAILED
    return WARNED if Severity.WARNING in found else 0
