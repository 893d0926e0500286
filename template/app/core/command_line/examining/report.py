"""Print findings: for people, grouped by what they are about, the worst first."""

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from app.core.command_line.examining.findings import Finding, Severity
from app.core.command_line.output import WIDTH_WITHOUT_TERMINAL

STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.HINT: "bold cyan",
    Severity.NOTE: "bold",
}


def show_findings(findings: Sequence[Finding], examined: str) -> None:
    """Print the findings, and how many of each severity there are. `examined` is an address."""
    shown = [*map(section, grouped(findings)), Text(summary(findings, examined))]
    if sys.stdout.isatty():
        Console(highlight=False).print(*shown)
        return
    plain = Console(width=WIDTH_WITHOUT_TERMINAL, color_system=None)
    with plain.capture() as captured:
        plain.print(*shown)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Put together what has the same severity, check and reason. The order is kept."""
    order = list(dict.fromkeys(map(kind_of, findings)))
    by_kind = sorted(findings, key=lambda each: order.index(kind_of(each)))
    return [list(group) for _, group in groupby(by_kind, key=kind_of)]


def kind_of(finding: Finding) -> tuple[str, str, str]:
    return finding.severity, finding.check, finding.why


def section(findings: Sequence[Finding]) -> Group:
    first = findings[0]
    heading = Text.assemble((first.severity, STYLES[first.severity]), "  ", (first.check, "bold"))
    lines: list[Any] = [heading, indented(first.why, 2)]
    for mend, alike in groupby(findings, key=lambda each: each.mend):
        lines += [indented(each.what, 4) for each in alike]
        lines.append(indented(mend, 8, "green"))
    return Group(*lines, Text())


def indented(content: str, width: int, style: str = "") -> Padding:
    return Padding(Text(content, style), (0, 0, 0, width))


def summary(findings: Sequence[Finding], examined: str) -> str:
    """Return such as `…://db/app: 2 errors, 1 hint.`"""
    counts = Counter(each.severity for each in findings)
    parts = [
        f"{counts[each]} {each}{'s' if counts[each] != 1 else ''}"
        for each in Severity
        if counts[each]
    ]
    return f"{examined}: {', '.join(parts) or 'nothing was found'}."
