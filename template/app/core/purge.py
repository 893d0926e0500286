"""Delete soft-deleted rows permanently, except those that other rows still refer to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, exists, false, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.bulk import CHUNK_SIZE, count_affected
from app.core.database import Database
from app.core.failures import Failure
from app.core.registry import import_models


@dataclass
class Purge:
    """The number of deleted rows, and of rows that were kept because others refer to them."""

    purged: int = 0
    skipped: int = 0


async def purge_deleted(
    database: Database, model: Any, *, deleted_before: datetime, batch_size: int = CHUNK_SIZE
) -> Purge:
    """Permanently delete the rows that were soft-deleted before `deleted_before`.

    Each batch is a separate transaction: an interrupted purge keeps the progress it made.
    """
    import_models()  # the tables that refer to this one
    purge = Purge()
    expired = model.deleted_at < deleted_before
    ids: Sequence[UUID] = [UUID(int=0)]
    while ids:
        batch = partial(purge_batch, model=model, expired=expired, after=ids[-1], size=batch_size)
        ids, purged = await database.run(batch)
        purge.purged += purged
        purge.skipped += len(ids) - purged
    return purge


async def purge_batch(
    session: AsyncSession, model: Any, expired: ColumnElement[bool], *, after: UUID, size: int
) -> tuple[list[UUID], int]:
    """Purge the next `size` rows. Return the ids of all of them and the number deleted."""
    referenced = or_(false(), *references(model.__table__))
    query = select(model.id, referenced).where(expired, model.id > after)
    query = query.order_by(model.id).limit(size).execution_options(with_deleted=True)
    rows = (await session.execute(query)).all()
    unreferenced = [row_id for row_id, is_referenced in rows if not is_referenced]
    purged = await delete_unreferenced(session, model, expired, unreferenced)
    return [row_id for row_id, _ in rows], purged


def references(table: Table) -> Iterator[ColumnElement[bool]]:
    """Yield a condition for each foreign key that prevents deletion of a referenced row."""
    for other in table.metadata.tables.values():
        for key in other.foreign_key_constraints:
            restricts = (key.ondelete or "").upper() in {"", "NO ACTION", "RESTRICT"}
            if key.referred_table is table and restricts:
                columns = other.alias().columns
                yield exists().where(
                    *(columns[part.parent.key] == part.column for part in key.elements)
                )


async def delete_unreferenced(
    session: AsyncSession, model: Any, expired: ColumnElement[bool], ids: Sequence[UUID]
) -> int:
    """Delete the rows except those that are referenced in the meantime, found by bisection."""
    if not ids:
        return 0
    statement = delete(model).where(model.id.in_(ids), expired)
    options = {"with_deleted": True, "synchronize_session": False}
    try:
        async with session.begin_nested():
            return await count_affected(session, statement.execution_options(**options))
    except DBAPIError as error:
        if driver.failure_of(error) is not Failure.REFERENCE:
            raise
    if len(ids) == 1:
        return 0
    middle = len(ids) // 2
    purged = await delete_unreferenced(session, model, expired, ids[:middle])
    return purged + await delete_unreferenced(session, model, expired, ids[middle:])
