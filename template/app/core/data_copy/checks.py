"""What must be true before anything is copied. Each refusal is a `DataCopyError`."""

from collections.abc import Sequence
from pathlib import Path
from secrets import randbits
from typing import Literal

from sqlalchemy import func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.data_copy.databases import Role, backend_of
from app.core.data_copy.errors import DataCopyError, explained
from app.core.data_copy.tables import CopiedTable

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
        in_source = await check_schema(source, "source", known, revisions)
        await check_schema(target, "target", known, revisions)
        if (unknown := in_source - known) and not ignore_unknown_tables:
            raise DataCopyError(
                f"The source has tables that no model knows: {', '.join(sorted(unknown))}. "
                "With --ignore-unknown-tables they are not copied."
            )
        for table in tables:
            await check_order(source, table)
        full = {table.name for table in tables if await has_rows(target, table)}
        if full and existing == "refuse":
            raise DataCopyError(
                f"The target is not empty: {', '.join(sorted(full))}. Use --resume to complete a "
                "copy that was interrupted, or --replace to empty it first."
            )
        return full


def is_same_file(one: str | None, other: str | None) -> bool:
    return Path(one or "").samefile(other or "")


async def are_same(source: AsyncConnection, target: AsyncConnection) -> bool:
    """Whether both are connected to one database, whatever its host is called in the URLs.

    The target would see a lock that the source holds. Files can be compared.
    """
    url, backend = target.engine.url, backend_of(target.engine.url)
    if backend_of(source.engine.url) is not backend:
        return False
    if backend.hold is None or backend.is_held is None:
        return is_same_file(source.engine.url.database, url.database)
    key = {"key": randbits(62)}
    await source.execute(text(backend.hold), key)
    return bool(await target.scalar(text(backend.is_held), key))


async def check_schema(
    connection: AsyncConnection, role: Role, known: set[str], revisions: set[str]
) -> set[str]:
    """Return the names of the tables. They are what the migrations of this code make."""
    names = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    found: set[str] = set()
    if "alembic_version" in names:
        found = set(await connection.scalars(text("SELECT version_num FROM alembic_version")))
    if found != revisions:
        raise DataCopyError(
            f"The {role} is at revision {', '.join(sorted(found)) or 'none'}, this code needs "
            f"{', '.join(sorted(revisions)) or 'none'}: alembic upgrade head"
        )
    if missing := known - names:
        raise DataCopyError(f"The {role} lacks tables: {', '.join(sorted(missing))}.")
    return names - {"alembic_version"}


async def check_order(source: AsyncConnection, table: CopiedTable) -> None:
    if table.own_parent:
        levels = table.levels()
        ordered = await source.scalar(select(func.count()).select_from(levels))
        if ordered != await source.scalar(select(func.count()).select_from(table.clause)):
            columns = ", ".join(name for name, _ in table.own_parent)
            raise DataCopyError(
                f"{table.name} has rows that refer to each other in a circle by {columns}, "
                "which cannot be NULL: none of them can come first."
            )


async def has_rows(connection: AsyncConnection, table: CopiedTable) -> bool:
    return (await connection.execute(table.select_unordered().limit(1))).first() is not None
