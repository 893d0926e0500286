"""Plans of PostgreSQL."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Table, func, select, text
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
PREPARATION: tuple[str, ...] = ("SET TRANSACTION READ ONLY",)
# … and those by which it prefers an index, as it would with many rows.
ASSUME_LARGE: tuple[str, ...] = ("SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off")

COUNTED_BELOW = 1_000_000
PLACEHOLDER = re.compile(r"\$(\d+)")
ROWS = text("SELECT relname, reltuples FROM pg_class WHERE oid = to_regclass(quote_ident(:name))")


def as_driver_sql(sql: str) -> str:
    """Return a statement that a person wrote as the driver takes it."""
    return sql


async def explain(connection: AsyncConnection, sql: str, parameters: Parameters) -> Plan:
    """Return the plan of a statement, which is not executed."""
    if parameters is None:
        found = await explain_generically(connection, sql)
    else:
        explained = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        found = explained.scalar_one()
    root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return Plan(tuple(walk(root)), cost=root["Total Cost"])


async def explain_generically(connection: AsyncConnection, sql: str) -> Any:
    """Explain it for any values, as PostgreSQL itself does after some executions."""
    count = max((int(number) for number in PLACEHOLDER.findall(sql)), default=0)
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.exec_driver_sql(f"PREPARE analyzed AS {sql}")
    try:
        explained = await connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) EXECUTE analyzed{values}"
        )
        return explained.scalar_one()
    finally:
        await connection.exec_driver_sql("DEALLOCATE analyzed")
        await connection.exec_driver_sql("SET LOCAL plan_cache_mode = auto")


def walk(node: Mapping[str, Any]) -> Iterator[Step]:
    kind, rows = node["Node Type"], node["Plan Rows"]
    if kind == "Seq Scan":
        yield Step("scan", node["Alias"], kept=rows)
    elif kind == "Bitmap Heap Scan":
        yield Step("search", node["Alias"], rows=rows)
    elif "Index Name" in node:
        is_whole = "Index Cond" not in node and kind != "Bitmap Index Scan"
        table, index = node.get("Alias"), node["Index Name"]
        yield Step("scan" if is_whole else "search", table, index, rows=rows)
    elif kind in {"Sort", "Incremental Sort"}:
        yield Step("sort", rows=node["Plans"][0]["Plan Rows"])
    for each in node.get("Plans", ()):
        yield from walk(each)


async def count_rows(connection: AsyncConnection, table: Table) -> int:
    """Return the number of rows: if it is large by the statistics, which may be old, or exactly."""
    found = (await connection.execute(ROWS, {"name": table.name})).one_or_none()
    if found is not None and found.reltuples >= COUNTED_BELOW:
        return int(found.reltuples)
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


@asynccontextmanager
async def trial(connection: AsyncConnection, table: Table) -> AsyncIterator[None]:  # noqa: ARG001
    """Undo at the end what is done to the table: its other writers wait until then."""
    try:
        yield
    finally:
        await connection.rollback()
