"""Show what `app db analyze` has found."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.core.command_line.analyzing import plans
from app.core.command_line.analyzing.findings import REPEATED, Finding, Gain, Report
from app.core.command_line.analyzing.queries import shorten

AT_ONCE = {
    "SELECT": "read all at once: selectinload, or one query with IN",
    "INSERT": "insert all at once: insert_rows",
    "UPDATE": "write all rows with one statement",
}
LIKE = re.compile(r"\bI?LIKE\b", re.IGNORECASE)
ROUTES_SHOWN = 3
COSTS_SHOWN = 10
STATEMENT_LENGTH = 160
SEED = "uv run app db seed --users 10000"


def show_report(console: Console, report: Report) -> None:
    """Print the problems, the code of the indexes, and the most expensive routes."""
    console.print(summary(report), highlight=False)
    if report.findings:
        console.print(table_of_findings(report))
    for line in code_of_indexes(report):
        console.print(Text(line, overflow="fold"))
    if report.routes:
        console.print()
        console.print(table_of_routes(report))
    for note in notes(report):
        console.print(Text(note))


def summary(report: Report) -> Text:
    count = len(report.findings)
    problems = counted(count, "problem") if count else "No problem"
    statements = counted(report.explained, "different statement")
    text = f"{problems} in {statements} on {report.address}"
    return Text(text, style="bold red" if count else "bold green")


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def new_table(*headings: str, gap: int) -> Table:
    return Table(*headings, box=None, pad_edge=False, padding=(gap, 2, 0, 0))


def table_of_findings(report: Report) -> Table:
    table = new_table("Problem", "Rows", "Where", "Proposal", "Gain", gap=1)
    table.columns[1].justify = "right"
    for number in (0, 1, 4):
        table.columns[number].no_wrap = True
    for each in report.findings:
        table.add_row(
            Text(each.problem, style="red"),
            f"{each.count:,}" if each.problem != REPEATED else f"{each.count} times",
            Text("\n").join(where(each)),
            Text(proposal_of(each)),
            Text(describe_gain(each.gain), style="green" if is_gain(each) else ""),
        )
    return table


def where(finding: Finding) -> list[Text]:
    shown = [Text(route, style="bold") for route in finding.routes[:ROUTES_SHOWN]]
    if (more := len(finding.routes) - ROUTES_SHOWN) > 0:
        shown.append(Text(f"and {more} more"))
    if finding.statement is None:
        return [*shown, Text(f"DELETE of what {finding.table} refers to")]
    return [*shown, Text(excerpt(finding.statement.sql), style="dim")]


def excerpt(sql: str) -> str:
    """Return what tells the statement from others: its conditions, or else its order or tables."""
    text = shorten(sql)
    verb = text.split()[0]
    for word in (" WHERE ", " GROUP BY ", " ORDER BY ", " FROM "):
        _, found, end = text.rpartition(word)
        if found:
            return f"{verb} …{found}{end}"[:STATEMENT_LENGTH]
    return text[:STATEMENT_LENGTH]


def proposal_of(finding: Finding) -> str:
    if finding.proposal:
        return f"index on {finding.proposal.table} ({', '.join(finding.proposal.columns)})"
    if finding.problem == REPEATED and finding.statement:
        return AT_ONCE.get(finding.statement.sql.split()[0].upper(), AT_ONCE["UPDATE"])
    if finding.statement and LIKE.search(finding.statement.sql):
        return "none: full-text search finds a text within another"
    return "none: read fewer rows, stream them, or keep the result"


def is_gain(finding: Finding) -> bool:
    return isinstance(finding.gain, Gain) and finding.gain.uses_index


def describe_gain(gain: Gain | str | None) -> str:
    if not isinstance(gain, Gain):
        return f"not proven: {gain}" if gain else ""
    if not gain.uses_index:
        return "none: the database does not use the index"
    parts = []
    if gain.milliseconds:
        parts.append("{:,.1f} ms → {:,.1f} ms".format(*gain.milliseconds))
    if gain.costs:
        parts.append("cost {:,.0f} → {:,.0f}".format(*gain.costs))
    return "\n".join(parts) or "the database uses the index"


def code_of_indexes(report: Report) -> Iterator[str]:
    """The code of indexes, except for those that the database does not use."""
    proposals = {
        each.proposal
        for each in report.findings
        if each.proposal and (is_gain(each) or not isinstance(each.gain, Gain))
    }
    for each in sorted(proposals, key=lambda proposal: proposal.name):
        yield ""
        yield f"{each.place}, in __table_args__:"
        yield f"    {each.model_code},"
        yield "its revision, which `uv run app db revision` writes:"
        yield f"    {each.revision_code}"
    if proposals:
        yield "For a large table, see An index of a large table in docs/patterns.md."


def table_of_routes(report: Report) -> Table:
    table = new_table("Route", "Requests", "Most statements", "Different", gap=0)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in report.routes[:COSTS_SHOWN]:
        table.add_row(
            Text(each.route), str(each.requests), str(each.statements), str(each.different)
        )
    return table


def notes(report: Report) -> Iterator[str]:
    if len(report.routes) > COSTS_SHOWN:
        left = counted(len(report.routes) - COSTS_SHOWN, "route")
        yield f"… and {left} with fewer statements."
    if report.unexplained:
        yield f"\n{counted(len(report.unexplained), 'statement')} could not be explained:"
        shown = list(report.unexplained.items())[:COSTS_SHOWN]
        yield from (f"    {reason}: {sql[:STATEMENT_LENGTH]}" for sql, reason in shown)
    if not report.known.tables:
        yield "\nThe database has no tables. Create them: uv run app db upgrade."
    elif report.is_small:
        most = max(report.known.sizes.values())
        yield (
            f"\nThe largest table has {most:,} rows: plans of small tables say nothing. Fill the"
            f" database first: {SEED}. Or judge the plans as for large tables: --assume-large."
        )
    if report.unused_indexes:
        yield (
            f"\nIndexes that none of these statements uses: {', '.join(report.unused_indexes)}."
            " Each write maintains them: drop those that no job needs either."
        )
    if any(isinstance(each.gain, Gain) for each in report.findings):
        yield f"\n{plans.HOW_PROVEN}"
    elif any(each.proposal for each in report.findings):
        yield "\nTry the indexes on the rows of this database, and undo them: --prove"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for scripts. It does not have the values of statements."""
    return {
        "database": report.address,
        "explained": report.explained,
        "unexplained": report.unexplained,
        "tables_are_small": report.is_small,
        "unused_indexes": report.unused_indexes,
        "rows": dict(report.known.sizes),
        "findings": [finding_as_json(each) for each in report.findings],
        "routes": [asdict(each) for each in report.routes],
    }


def finding_as_json(finding: Finding) -> dict[str, Any]:
    proposal = finding.proposal
    return {
        "problem": finding.problem,
        "count": finding.count,
        "table": finding.table,
        "routes": finding.routes,
        "statement": finding.statement and shorten(finding.statement.sql),
        "proposal": proposal
        and {
            "columns": proposal.columns,
            "place": proposal.place,
            "model": proposal.model_code,
            "revision": proposal.revision_code,
        },
        "gain": asdict(finding.gain) if isinstance(finding.gain, Gain) else finding.gain,
    }
