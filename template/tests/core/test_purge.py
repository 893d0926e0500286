import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.bulk import insert_rows
from app.core.database import Database
from app.core.models import utc_now
from app.core.purge import Purge, purge_deleted
from tests.core.lab import LabLoan, LabMember


async def create_deleted(session: AsyncSession, count: int, *, days_ago: int = 2) -> Sequence[UUID]:
    ids = [uuid7() for _ in range(count)]
    deleted_at = utc_now() - timedelta(days=days_ago)
    rows = ({"id": each, "name": "Ada", "deleted_at": deleted_at} for each in ids)
    await insert_rows(session, LabMember, rows)
    await session.commit()
    return ids


async def refer_to(session: AsyncSession, ids: Sequence[UUID]) -> None:
    await insert_rows(session, LabLoan, ({"member_id": each} for each in ids))
    await session.commit()


async def purge_older_than_a_day(database: Database, batch_size: int = 1000) -> Purge:
    deleted_before = utc_now() - timedelta(days=1)
    return await purge_deleted(
        database, LabMember, deleted_before=deleted_before, batch_size=batch_size
    )


async def count_members(session: AsyncSession) -> int | None:
    query = select(func.count()).select_from(LabMember)
    return await session.scalar(query, execution_options={"with_deleted": True})


async def test_rows_that_others_refer_to_are_skipped(
    database: Database, session: AsyncSession
) -> None:
    ids = await create_deleted(session, 3000)
    await refer_to(session, ids[::50])

    assert await purge_older_than_a_day(database) == Purge(purged=2940, skipped=60)

    left = await session.scalars(
        select(LabMember.id).order_by(LabMember.id), execution_options={"with_deleted": True}
    )
    assert left.all() == ids[::50]
    assert await purge_older_than_a_day(database) == Purge(purged=0, skipped=60)


async def test_a_purge_ends_when_no_row_can_be_deleted(
    database: Database, session: AsyncSession
) -> None:
    await refer_to(session, await create_deleted(session, 20))

    assert await purge_older_than_a_day(database, batch_size=7) == Purge(purged=0, skipped=20)


async def test_rows_that_are_present_or_were_just_deleted_stay(
    database: Database, session: AsyncSession
) -> None:
    await create_deleted(session, 1, days_ago=0)
    session.add(LabMember(name="Ada"))
    await session.commit()

    assert await purge_older_than_a_day(database) == Purge()
    assert await count_members(session) == 2


async def test_each_batch_is_a_transaction(database: Database, session: AsyncSession) -> None:
    await create_deleted(session, 5)
    left: list[int] = []

    def note(connection: Connection) -> None:
        left.append(connection.scalar(select(func.count()).select_from(LabMember)) or 0)

    event.listen(database.engine.sync_engine, "commit", note)
    try:
        await purge_older_than_a_day(database, batch_size=2)
    finally:
        event.remove(database.engine.sync_engine, "commit", note)

    assert left == [3, 1, 0, 0]


async def test_a_row_that_gets_a_reference_in_the_meantime_is_skipped(
    database: Database, session: AsyncSession
) -> None:
    ids = await create_deleted(session, 3)
    session.add(LabLoan(member_id=ids[1]))
    await session.flush()

    purge = asyncio.create_task(purge_older_than_a_day(database))
    await asyncio.sleep(0.2)
    await session.commit()

    assert await purge == Purge(purged=2, skipped=1)
