"""Deletes for good what was soft-deleted, but for the rows that others still refer to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.bulk import CHUNK_SIZE, count_affected
from app.core.failures import Failure

if TYPE_CHECKING:  # models import this module, and they need no FastAPI
    from app.core.database import Database


@dataclass
class Purge:
    """How many rows were deleted, and how many stay because other rows refer to them."""

    purged: int = 0
    skipped: int = 0


async def purge_deleted(
    database: "Database", model: Any, *, deleted_before: datetime, batch_size: int = CHUNK_SIZE
) -> Purge:
    """Delete for good the rows that were hidden before that instant.

    Each batch is a transaction of its own: what an interrupted purge has deleted stays deleted.
    """
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
    session: AsyncSession,
    model: Any,
    expired: ColumnElement[bool],
    *,
    after: UUID,
    size: int = CHUNK_SIZE,
) -> tuple[Sequence[UUID], int]:
    """Try to delete the next rows after the id `after`; return their ids, and how many it were."""
    query = select(model.id).where(expired, model.id > after).order_by(model.id).limit(size)
    found = await session.scalars(query, execution_options={"with_deleted": True})
    ids = found.all()
    return ids, await delete_unreferenced(session, model, expired, ids) if ids else 0


async def delete_unreferenced(
    session: AsyncSession, model: Any, expired: ColumnElement[bool], ids: Sequence[UUID]
) -> int:
    """Only the database knows which of the rows it refuses to delete. Halving finds them."""
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
