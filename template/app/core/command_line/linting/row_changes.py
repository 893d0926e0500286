"""Statements of a revision that change all rows of a table at once."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import Delete, Update

from app.core.command_line.linting.findings import Finding
from app.core.command_line.linting.recording import Step

CHANGE = re.compile(r"""\s*(?:UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?["`]?(\w+)""", re.IGNORECASE)
SOME_ROWS = re.compile(r"\b(?:WHERE|LIMIT)\b", re.IGNORECASE)
INNERMOST = re.compile(r"\([^()]*\)")
MESSAGE = "All rows are locked until the revision ends. Who changes one of them waits."
RECIPE = (
    "change the rows in chunks, by a job that commits each of them if there are many"
    ' ("A migration of data" in docs/patterns.md).'
)


def changes_of_all_rows(steps: Iterable[Step]) -> Iterator[Finding]:
    """Yield each UPDATE or DELETE without WHERE, except on tables of the same revision."""
    created: set[str | None] = {None}
    for step in steps:
        match step.operation:
            case ops.CreateTableOp(table_name=name):
                created.add(name)
            case ops.ExecuteSQLOp(sqltext=statement) if table_changed(statement) not in created:
                yield Finding(step.line, "changing-all-rows", MESSAGE, RECIPE)


def table_changed(statement: Any) -> str | None:
    """Return the table of which the statement changes all rows, or `None`."""
    if isinstance(statement, Update | Delete):
        has_condition = statement.whereclause is not None
        return None if has_condition else str(getattr(statement.table, "name", ""))
    sql = str(statement)
    while INNERMOST.search(sql):
        sql = INNERMOST.sub("", sql)
    found = CHANGE.match(sql)
    return None if found is None or SOME_ROWS.search(sql) else found[1]
