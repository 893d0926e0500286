"""Bulk operations, in chunks to limit memory and the size of statements."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, CursorResult, UpdateBase, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.defaults import complete, converted, insert_sql, table_of
from app.core.direct import announce, call
from app.core.execution import connection_of, engine_of, flush
from app.core.models import Base

T = TypeVar("T")

Row = Mapping[str, Any]
CHUNK_SIZE = 1000  # within the parameter limit of every database
MANY_ROWS = 100  # fewer are not worth it
ROWS_AT_ONCE = 10_000


def in_chunks(items: Iterable[T], size: int = CHUNK_SIZE) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


async def insert_rows(session: AsyncSession, model: type[Base], rows: Iterable[Row]) -> int:
    """Insert the rows and return their number. Defaults apply; constructors are not called.

    All rows have the same keys. Many rows are passed to the driver itself, which is several times
    faster than SQLAlchemy's `insert`.
    """
    count = 0
    for chunk in in_chunks(rows, ROWS_AT_ONCE):
        if len(chunk) < MANY_ROWS or not await insert_directly(session, model, chunk):
            for part in in_chunks(chunk):
                await session.execute(insert(model), part)
        count += len(chunk)
    return count


async def insert_directly(session: AsyncSession, model: type[Base], rows: list[Row]) -> bool:
    """Insert the rows by the driver, unless a default is SQL. Return whether it was possible."""
    columns = complete(model, rows)
    if columns is None:
        return False
    await flush(session)
    connection, engine = await connection_of(session), engine_of(session)
    names = tuple(columns)
    statement = insert_sql(model, names, engine.dialect)
    announce(engine, statement, f"{len(rows)} rows")
    records = converted(model, columns, engine.dialect)
    arguments = (connection.driver_connection, table_of(model), names, statement, records)
    await call(engine, connection, statement, driver.insert_many, *arguments, writes=True)
    return True


async def update_rows(session: AsyncSession, model: type[Base], rows: Iterable[Row]) -> int:
    """Update rows by primary key, which each of `rows` contains. Return the number of `rows`.

    Soft-deleted rows are not updated.
    """
    count = 0
    for chunk in in_chunks(rows):
        await session.execute(update(model), chunk)
        count += len(chunk)
    return count


async def upsert_rows(
    session: AsyncSession,
    model: type[Base],
    rows: Iterable[Row],
    *,
    key: Sequence[str],
    update: Sequence[str],
) -> int:
    """Insert the rows, or update the columns `update` where a row with the same `key` exists.

    If several rows have the same key, the last one is used. Rows are written in the order of
    their keys, because two upserts of the same rows in different orders could deadlock. A
    soft-deleted row with the same `key` is updated too, unless `is_live` is part of the key.
    """
    by_key = {tuple(row[name] for name in key): row for row in rows}
    statement = driver.upsert(model, key=key, update=update)
    for chunk in in_chunks(by_key[values] for values in sorted(by_key)):
        await session.execute(statement, chunk)
    return len(by_key)


async def delete_rows(session: AsyncSession, model: Any, ids: Collection[Any]) -> int:
    """Delete the rows with these ids and return their number. The database may cascade.

    The rows are deleted permanently, even in a table with soft deletion. Rows that are already
    soft-deleted are not affected.
    """
    count = 0
    for chunk in in_chunks(ids):
        statement = delete(model).where(model.id.in_(chunk))
        count += await count_affected(session, statement)
    return count


async def update_by_ids(
    session: AsyncSession,
    model: Any,
    ids: Collection[Any],
    values: Row,
    *where: ColumnElement[bool],
) -> Sequence[Any]:
    """Set the same values in the rows with these ids that match all conditions in `where`.

    Return the ids of those rows.
    """
    found: list[Any] = []
    for chunk in in_chunks(ids):
        found += await driver.update_returning_ids(
            session, model, values, model.id.in_(chunk), *where
        )
    return found


async def count_affected(session: AsyncSession, statement: UpdateBase) -> int:
    """Execute an UPDATE or DELETE and return the number of rows that matched its condition."""
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount
