"""Plans of SQLite."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.analyzing.plan_steps import Parameters, Plan, Step

__all__ = [
    "ASSUME_LARGE",
    "HOW_PROVEN",
    "PREPARATION",
    "as_driver_sql",
    "count_rows",
    "explain",
    "trial",
]

HOW_PROVEN = "The index was made in a transaction that was rolled back."

# Statements for the transaction in which statements are explained …
PREPARATION: tuple[str, ...] = ()
# … and for one that plans for many rows, as SQLite always does.
ASSUME_LARGE: tuple[str, ...] = ()

# `SEARCH users AS u USING INDEX ix_users_email (email=?)`, before 3.36 `SEARCH TABLE users …`.
STEP = re.compile(
    r"(?P<kind>SCAN|SEARCH) (?:TABLE )?(?P<table>\w+)(?: AS (?P<alias>\w+))?"
    r"(?: USING (?P<automatic>AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?(?:INDEX )?(?P<index>\w+)?)?"
)
SEARCH = re.compile(r"SEARCH .* USING (?:COVERING )?INDEX (?P<index>\w+) \((?P<conditions>.*)\)")
EQUAL = re.compile(r"(\w+)=\?")
INDEX = "SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND name = ?"
SORT = "USE TEMP B-TREE FOR "
SORTED = ("ORDER BY", "LAST TERM OF ORDER BY", "RIGHT PART OF ORDER BY")


def as_driver_sql(sql: str) -> str:
    """Return a statement that a person wrote as the driver takes it."""
    return sql


async def explain(connection: AsyncConnection, sql: str, parameters: Parameters) -> Plan:
    """Return the plan of a statement, which is not executed. SQLite has no costs.

    Values that are unknown are NULL: they do not change the plan.
    """
    values = (None,) * sql.count("?") if parameters is None else parameters
    explained = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
    lines = [row.detail for row in explained]
    steps = [step for line in lines for step in read_step(line)]
    if any(step.kind == "sort" for step in steps):
        sorted_rows = [await count_found(connection, line) for line in lines]
        most = max((rows for rows in sorted_rows if rows is not None), default=None)
        steps = [replace(step, rows=most) if step.kind == "sort" else step for step in steps]
    return Plan(tuple(steps))


def read_step(line: str) -> Iterator[Step]:
    if line.startswith(SORT) and line.removeprefix(SORT).endswith(SORTED):
        yield Step("sort")
    elif found := STEP.match(line):
        table = found["alias"] or found["table"]
        # An automatic index is made for this one execution, from all rows.
        if found["automatic"] or found["kind"] == "SCAN":
            yield Step("scan", table, None if found["automatic"] else found["index"])
        else:
            yield Step("search", table, found["index"])


async def count_found(connection: AsyncConnection, line: str) -> int | None:
    """Return how many rows a search finds at most, as SQLite estimates that only after ANALYZE."""
    search = SEARCH.match(line)
    if search is None:
        return None
    name, columns = search["index"], ", ".join(EQUAL.findall(search["conditions"]))
    table = (await connection.exec_driver_sql(INDEX, (name,))).scalar_one_or_none()
    if not columns or table is None:
        return None
    groups = f'SELECT count(*) AS found FROM "{table}" GROUP BY {columns}'  # noqa: S608
    found = await connection.exec_driver_sql(f"SELECT max(found) FROM ({groups})")  # noqa: S608
    return found.scalar_one() or 0


async def count_rows(connection: AsyncConnection, table: Table) -> int:
    """Return the exact number of rows."""
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


@asynccontextmanager
async def trial(connection: AsyncConnection, table: Table) -> AsyncIterator[None]:  # noqa: ARG001
    """Undo at the end what is done to the table: all other writers wait until then."""
    try:
        yield
    finally:
        await connection.rollback()
