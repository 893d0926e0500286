"""What must be true before anything is copied. Each refusal is a `DataCopyError`."""

from collections.abc import Sequence
from pathlib import Path
from secrets import randbits
from typing import Literal

from sqlalchemy import func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_copy.databases import Role, backend_of
from data_copy.errors import DataCopyError, explained
from data_copy.tables import CopiedTable

Existing = Literal["refuse", "resume", "replace"]


async def check_databases(
    source: AsyncConnection,
    target: AsyncConnection,
    tables: Sequence[CopiedTable],
    *,
    revisions: set[str],
    existing: Existing,
    ignore_unknown_tables: bool,
) -> set[str]:
    """Return the names of the tables of the target that have rows."""
    with explained("The databases cannot be compared"):
        if await are_same(source, target):
            raise DataCopyError("The source and the target are the same database.")
        known = {table.name for table in tables if table.clause.schema is None}
        unknown = await check_schema(source, "source", known, revisions)
        await check_schema(target, "target", known, revisions)
        if unknown and not ignore_unknown_tables:
            raise DataCopyError(
                f"The source has tables without a model: {', '.join(sorted(unknown))}. "
                "Use --ignore-unknown-tables to leave them out."
            )
        for table in tables:
            await check_order(source, table)
        full = {table.name for table in tables if await has_rows(target, table)}
        if full and existing == "refuse":
            raise DataCopyError(
                f"The target is not empty: {', '.join(sorted(full))}. Use --resume to complete "
                "an interrupted copy, or --replace to delete these rows first."
            )
        return full


async def are_same(source: AsyncConnection, target: AsyncConnection) -> bool:
    """Whether both are connected to one database, which may have several URLs.

    On a server, the target then sees a lock that the source holds.
    """
    one, other = source.engine.url, target.engine.url
    backend = backend_of(one)
    if backend is not backend_of(other):
        return False
    if backend.lock is None:
        return is_same_file(one.database, other.database)
    take, is_held = backend.lock
    key = {"key": randbits(62)}
    await source.execute(text(take), key)
    return bool(await target.scalar(text(is_held), key))


def is_same_file(one: str | None, other: str | None) -> bool:
    return Path(one or "").samefile(other or "")


async def check_schema(
    connection: AsyncConnection, role: Role, known: set[str], revisions: set[str]
) -> set[str]:
    """Refuse a schema that is not that of this code. Return the names of unknown tables."""
    names = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    found: set[str] = set()
    if "alembic_version" in names:
        found = set(await connection.scalars(text("SELECT version_num FROM alembic_version")))
    if found != revisions:
        raise DataCopyError(
            f"The {role} is at revision {', '.join(sorted(found)) or 'none'}, this code needs "
            f"{', '.join(sorted(revisions)) or 'none'}. Run: alembic upgrade head"
        )
    if missing := known - names:
        raise DataCopyError(f"The {role} lacks tables: {', '.join(sorted(missing))}.")
    return names - known - {"alembic_version"}


async def check_order(source: AsyncConnection, table: CopiedTable) -> None:
    """Refuse rows that no order satisfies: they refer to each other, and cannot do so later."""
    if not table.parent:
        return
    ordered = await source.scalar(select(func.count()).select_from(table.levels()))
    if ordered != await source.scalar(select(func.count()).select_from(table.clause)):
        columns = ", ".join(name for name, _ in table.parent)
        raise DataCopyError(
            f"{table.name} has rows that refer to each other in a cycle through {columns}, "
            "which cannot be NULL: none of them can be inserted first."
        )


async def has_rows(connection: AsyncConnection, table: CopiedTable) -> bool:
    return (await connection.execute(table.clause.select().limit(1))).first() is not None
