"""Copy all data of a service from one database to another, and verify it by reading it back.

The source is read in one snapshot and never written to. The target is written in transactions of
one batch each: an interrupted copy leaves whole batches, and `resume` completes it.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, MetaData, func, select, text, tuple_, update
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncConnection

from data_copy.checks import Existing, check_databases
from data_copy.databases import ExactInsert, backend_of, connect
from data_copy.errors import DataCopyError, explained
from data_copy.tables import CopiedTable, tables_in_order
from data_copy.values import Checksum, read

# "copy" or "verify", the name of a table, how many of its rows are done, and how many it has.
Progress = Callable[[str, str, int, int], None]


@dataclass(frozen=True)
class VerifiedTable:
    """A table that is the same in both databases."""

    name: str
    rows: int
    checksum: str


async def copy_data(
    source: URL,
    target: URL,
    *,
    metadata: MetaData,
    revisions: set[str],
    existing: Existing = "refuse",
    ignore_unknown_tables: bool = False,
    progress: Progress = lambda *_: None,
) -> list[VerifiedTable]:
    """Copy the tables of the metadata. Raises `DataCopyError`, also if the copy is not exact.

    Both databases must be at `revisions`. `existing` is what to do if the target has rows.
    """
    tables = tables_in_order(metadata)
    with warnings.catch_warnings(), explained("The copy was not completed"):
        # Some databases store decimals as floats. The checksums show whether they were kept.
        warnings.filterwarnings("ignore", "Dialect .* Decimal", SAWarning)
        async with connect(source, "source") as reader, connect(target, "target") as writer:
            await reader.begin()
            async with writer.begin():
                full = await check_databases(
                    reader,
                    writer,
                    tables,
                    revisions=revisions,
                    existing=existing,
                    ignore_unknown_tables=ignore_unknown_tables,
                )
            if existing == "replace":
                await empty(writer, tables)
                full = set()
            copied = [
                await copy_table(
                    reader, writer, table, started=table.name in full, progress=progress
                )
                for table in tables
            ]
            for table in tables:
                await set_deferred(reader, writer, table)
            await reader.rollback()
            await set_counters(writer, tables)
            return await verify(writer, tables, copied, progress)


async def copy_table(
    reader: AsyncConnection,
    writer: AsyncConnection,
    table: CopiedTable,
    *,
    started: bool,
    progress: Progress,
) -> Checksum:
    """Insert the rows; if the copy of the table was started, those that are missing.

    Without a primary key these cannot be found: such a table is copied in one transaction.
    """
    checksum = table.checksum()
    with explained(f"{table.name} cannot be read"):
        total = await reader.scalar(select(func.count()).select_from(table.clause)) or 0
    progress("copy", table.name, 0, total)
    later = dict.fromkeys(table.deferred)
    batch, whole = (writer.begin, nullcontext) if table.key else (nullcontext, writer.begin)
    async with whole():
        async for rows in read(reader, table.select(), table.name, checksum.add):
            with explained(f"{table.name} cannot be written"):
                async with batch():
                    new = await missing(writer, table, rows) if started else rows
                    if new:
                        values = [
                            dict(zip(table.written, row, strict=False)) | later for row in new
                        ]
                        await writer.execute(ExactInsert(table.clause), values)
            progress("copy", table.name, checksum.rows, total)
    if checksum.rows != total:  # a lost connection may look like the end of the rows
        raise DataCopyError(f"{table.name} cannot be read: {checksum.rows} of {total} rows came.")
    return checksum


async def missing(
    writer: AsyncConnection, table: CopiedTable, rows: Sequence[Any]
) -> Sequence[Any]:
    """The rows whose keys the target does not have."""
    if not table.key:
        return []
    columns = [table.clause.c[name] for name in table.key]
    positions = [table.written.index(name) for name in table.key]
    keys = [tuple(row[position] for position in positions) for row in rows]
    query = select(*columns).where(tuple_(*columns).in_(keys))
    found = {tuple(row) for row in await writer.execute(query)}
    return [row for row, key in zip(rows, keys, strict=True) if key not in found]


async def set_deferred(
    reader: AsyncConnection, writer: AsyncConnection, table: CopiedTable
) -> None:
    """Set the references to rows that did not exist yet when the row was inserted."""
    if not table.deferred:
        return
    names = [f"key_{name}" for name in table.key] + [f"new_{name}" for name in table.deferred]
    async for rows in read(reader, table.select_deferred(), table.name, lambda _: 0):
        with explained(f"{table.name} cannot be written"):
            async with writer.begin():
                values = [dict(zip(names, row, strict=True)) for row in rows]
                await writer.execute(table.update_deferred(), values)


async def empty(writer: AsyncConnection, tables: Sequence[CopiedTable]) -> None:
    """Delete all rows, in one transaction."""
    backend = backend_of(writer.engine.url)
    with explained("The target cannot be emptied"):
        async with writer.begin():
            for statement in backend.before_emptying:
                await writer.execute(text(statement))
            for table in tables:
                if table.deferred:
                    await writer.execute(update(table.clause).values(dict.fromkeys(table.deferred)))
            for table in reversed(tables):
                await writer.execute(table.clause.delete())
            for statement in backend.after_emptying:
                await writer.execute(text(statement))


async def set_counters(writer: AsyncConnection, tables: Sequence[CopiedTable]) -> None:
    """Let the database number the next rows from above the copied keys."""
    statement = backend_of(writer.engine.url).set_counter
    if statement is None:
        return
    quote = writer.dialect.identifier_preparer
    for table in tables:
        with explained(f"The next key of {table.name} cannot be set"):
            async with writer.begin():
                for name in table.integers:
                    names = {"table": quote.format_table(table.clause), "column": name}
                    query = statement.format(table=names["table"], column=quote.quote(name))
                    await writer.execute(text(query), names)


async def verify(
    writer: AsyncConnection,
    tables: Sequence[CopiedTable],
    copied: Sequence[Checksum],
    progress: Progress,
) -> list[VerifiedTable]:
    """Read all rows back from the target and compare their checksums with those of the source."""
    verified, different = [], []
    for table, expected in zip(tables, copied, strict=True):
        found = table.checksum()
        progress("verify", table.name, 0, expected.rows)
        async for _ in read(writer, table.clause.select(), table.name, found.add):
            progress("verify", table.name, found.rows, expected.rows)
        await writer.rollback()
        if expected.rows != found.rows:
            different.append(f"{table.name} ({expected.rows} rows became {found.rows})")
        elif str(expected) != str(found):
            different.append(f"{table.name} (values were changed)")
        else:
            verified.append(VerifiedTable(table.name, found.rows, str(found)))
    if different:
        raise DataCopyError(f"The target differs from the source: {', '.join(different)}.")
    return verified
