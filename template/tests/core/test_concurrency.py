import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.concurrency import fetch_together
from app.core.database import Database, ReadSession
from app.core.errors import NotFoundError
from tests.core.lab import BookRepository, LabShelf, ShelfRepository


async def test_each_query_has_its_own_session(database: Database, shelf: LabShelf) -> None:
    sessions: list[ReadSession] = []

    async def count_shelves(session: ReadSession) -> int:
        sessions.append(session)
        return await ShelfRepository(session).count()

    async def count_books(session: ReadSession) -> int:
        sessions.append(session)
        return await BookRepository(session).count()

    assert await fetch_together(database, count_shelves, count_books) == (1, 3)
    assert sessions[0] is not sessions[1]


async def test_no_more_than_the_limit_run_at_once(database: Database) -> None:
    running = 0
    most = 0

    async def query(session: ReadSession) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await session.execute(select(1))
        await asyncio.sleep(0.01)
        running -= 1

    await fetch_together(database, *[query] * 8, limit=2)

    assert most == 2


async def test_the_first_error_is_raised_as_it_is(database: Database) -> None:
    async def fail(_: ReadSession) -> None:
        raise NotFoundError("There is none.")

    async def wait(_: ReadSession) -> None:
        await asyncio.sleep(5)

    with pytest.raises(NotFoundError):
        await fetch_together(database, fail, wait)


async def test_a_failing_task_rolls_its_siblings_back(
    database: Database, session: AsyncSession
) -> None:
    async def add_and_wait() -> None:
        async with database.transaction() as own:
            await ShelfRepository(own).add(LabShelf(name="one"))
            await asyncio.sleep(5)

    async def fail() -> None:
        await asyncio.sleep(0.1)
        raise NotFoundError("There is none.")

    async def run_both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(add_and_wait())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await run_both()

    assert await ShelfRepository(session).count() == 0
