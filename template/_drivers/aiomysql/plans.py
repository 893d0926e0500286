"""Plans of MySQL and MariaDB."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.analyzing.plan_steps import Parameters, Plan, Step, UnexplainedError

__all__ = [
    "ASSUME_LARGE",
    "HOW_PROVEN",
    "PREPARATION",
    "as_driver_sql",
    "count_rows",
    "explain",
    "trial",
]

HOW_PROVEN = "The index was made on a temporary copy of the table, which was dropped."

# Statements for the transaction in which statements are explained …
PREPARATION: tuple[str, ...] = ()
# … and those by which it plans for many rows: none, but it says which indexes it could use.
ASSUME_LARGE: tuple[str, ...] = ()

# Code of MySQL alone: its older format of plans, and numbers of rows that are not of yesterday.
OLDER_FORMAT = "SET @unused = 1 /*!80300 , explain_json_format_version = 1 */"
FRESH_STATISTICS = "SET @unused = 1 /*!80000 , information_schema_stats_expiry = 0 */"
CANNOT_REOPEN = 1137

ROWS = text(
    "SELECT table_rows FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = :name"
)


def as_driver_sql(sql: str) -> str:
    """Return a statement that a person wrote as the driver takes it."""
    return sql.replace("%", "%%")


async def explain(connection: AsyncConnection, sql: str, parameters: Parameters) -> Plan:
    """Return the plan of a statement, which is not executed.

    Raise `UnexplainedError` if the values are unknown: the server plans for certain values only.
    """
    if parameters is None and "%s" in sql:
        raise UnexplainedError("its values are unknown")
    await connection.exec_driver_sql(OLDER_FORMAT)
    explained = await connection.exec_driver_sql(f"EXPLAIN FORMAT=JSON {sql}", parameters or ())
    root = json.loads(explained.scalar_one())
    cost = root.get("query_block", {}).get("cost_info", {}).get("query_cost")
    return Plan(tuple(walk(root)), cost=None if cost is None else float(cost))


def walk(node: Any) -> Iterator[Step]:
    if isinstance(node, list):
        for each in node:
            yield from walk(each)
    if not isinstance(node, dict):
        return
    below = [step for each in node.values() for step in walk(each)]
    if node.get("using_filesort") or "filesort" in node:  # MySQL, MariaDB
        yield Step("sort", rows=max((step.rows or 0 for step in below), default=None))
    if "access_type" in node:
        yield read_table(node)
    yield from below


def read_table(node: dict[str, Any]) -> Step:
    # `filtered` is a guess where there is no index: 10 % on MySQL, 100 % on MariaDB.
    rows = float(node.get("rows_examined_per_scan", node.get("rows", 0)))
    is_whole = node["access_type"] in {"ALL", "index"}
    table, index = node.get("table_name"), node.get("key")
    could_search = is_whole and bool(node.get("possible_keys"))
    return Step("scan" if is_whole else "search", table, index, rows, could_search=could_search)


async def count_rows(connection: AsyncConnection, table: Table) -> int:
    """Return the number of rows as the server estimates it."""
    await connection.exec_driver_sql(FRESH_STATISTICS)
    return int((await connection.scalar(ROWS, {"name": table.name})) or 0)


@asynccontextmanager
async def trial(connection: AsyncConnection, table: Table) -> AsyncIterator[None]:
    """Let the name of the table stand for a temporary copy of it, for this connection.

    The server cannot roll back a new index. Raise `UnexplainedError` for a statement that has the
    table twice: MySQL, but not MariaDB, opens a temporary table only once.
    """
    name = connection.dialect.identifier_preparer.quote(table.name)
    await connection.exec_driver_sql(f"CREATE TEMPORARY TABLE analyzed LIKE {name}")
    try:
        await connection.exec_driver_sql(f"INSERT INTO analyzed SELECT * FROM {name}")  # noqa: S608
        await connection.exec_driver_sql(f"ALTER TABLE analyzed RENAME TO {name}")
        yield
    except DBAPIError as error:
        if error.driver_exception.args[0] != CANNOT_REOPEN:
            raise
        raise UnexplainedError("MySQL cannot try it: the statement has the table twice") from error
    finally:
        await connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS analyzed, {name}")
        await connection.rollback()
