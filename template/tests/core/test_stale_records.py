"""Two requests at the same record: what the slower one is told, and how the faster one locks."""

import asyncio
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from app.core.database import Database, ReadOnlyError
from app.core.errors import NotFoundError
from tests.core.hostile import assert_problem
from tests.core.lab import (
    BookRepository,
    LabBook,
    LabMember,
    LabShelf,
    MemberRepository,
    ShelfRepository,
)


@pytest.mark.parametrize("case", ["changed", "deleted", "refreshed", "expired"])
async def test_a_record_that_was_changed_or_deleted_in_the_meantime_is_a_conflict(
    client: AsyncClient, case: str
) -> None:
    response = await client.post(f"/lab/stale/{case}")

    assert_problem(response, 409)
    assert "changed or deleted by another request" in response.json()["detail"]


async def test_a_session_that_is_misused_is_an_error_of_the_service(client: AsyncClient) -> None:
    assert_problem(await client.post("/lab/misused"), 500)


async def test_a_record_is_locked_from_read_to_write(
    database: Database, session: AsyncSession, shelf: LabShelf
) -> None:
    book_id = shelf.books[0].id

    async def raise_price() -> None:
        async with database.transaction() as own:
            book = await BookRepository(own).get_for_update(book_id)
            price = book.price
            await asyncio.sleep(0.01)
            book.price = price + 1

    await asyncio.gather(*(raise_price() for _ in range(8)))

    assert await session.scalar(select(LabBook.price).where(LabBook.id == book_id)) == 8


async def test_a_record_is_read_anew_when_it_is_locked(
    database: Database, session: AsyncSession, shelf: LabShelf
) -> None:
    shelves = ShelfRepository(session)
    known = await shelves.get(shelf.id)
    await session.commit()
    async with database.transaction() as other:
        await other.execute(update(LabShelf).values(name="renamed"))

    assert await shelves.get_for_update(shelf.id) is known
    assert known.name == "renamed"


async def test_what_belongs_to_a_locked_record_can_be_joined_or_selected(
    session: AsyncSession, shelf: LabShelf
) -> None:
    shelves, books = ShelfRepository(session), BookRepository(session)

    joined = await shelves.get_for_update(shelf.id, joinedload(LabShelf.books))
    assert len(joined.books) == 3
    selected = await shelves.get_for_update(shelf.id, selectinload(LabShelf.books))
    assert len(selected.books) == 3
    book = await books.get_for_update(joined.books[0].id, joinedload(LabBook.shelf))
    assert book.shelf is shelf or book.shelf.id == shelf.id


async def test_what_is_not_there_cannot_be_locked(session: AsyncSession) -> None:
    members = MemberRepository(session)
    member = await members.add(LabMember(name="Ada"))
    await members.delete(member)

    for member_id in (uuid4(), member.id):
        with pytest.raises(NotFoundError):
            await members.get_for_update(member_id)
    assert await members.get_for_update(member.id, with_deleted=True) is member


async def test_a_read_session_refuses_to_lock(database: Database, shelf: LabShelf) -> None:
    async with database.read() as reading:
        with pytest.raises(ReadOnlyError):
            await ShelfRepository(reading).get_for_update(shelf.id)
        found = await ShelfRepository(reading).get(shelf.id)
        with pytest.raises(ReadOnlyError):
            await reading.refresh(found, with_for_update=True)
