from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from app.core.errors import NotFoundError, UnknownReferenceError
from tests.core.lab import (
    BookRepository,
    LabShelf,
    ShelfCreate,
    ShelfRepository,
    ShelfUpdate,
)


async def test_get_returns_the_record(session: AsyncSession, shelf: LabShelf) -> None:
    assert (await ShelfRepository(session).get(shelf.id)).name == "The shelf"


async def test_get_raises_for_an_unknown_id(session: AsyncSession) -> None:
    with pytest.raises(NotFoundError):
        await ShelfRepository(session).get(uuid4())


async def test_a_reference_to_an_unknown_id_is_a_conflict(session: AsyncSession) -> None:
    with pytest.raises(UnknownReferenceError):
        await ShelfRepository(session).get_referenced(uuid4())


async def test_find_returns_none_for_an_unknown_id(session: AsyncSession) -> None:
    assert await ShelfRepository(session).find(uuid4()) is None


async def test_get_loads_what_is_asked_for_also_into_a_known_record(
    session: AsyncSession, shelf: LabShelf
) -> None:
    shelves = ShelfRepository(session)
    await shelves.get(shelf.id)

    found = await shelves.get(shelf.id, selectinload(LabShelf.books))

    assert [book.title for book in found.books] == ["Book 0", "Book 1", "Book 2"]


async def test_a_collection_can_be_joined(session: AsyncSession, shelf: LabShelf) -> None:
    found = await ShelfRepository(session).get(shelf.id, joinedload(LabShelf.books))

    assert len(found.books) == 3


async def test_get_many_leaves_out_what_is_not_there(
    session: AsyncSession, shelf: LabShelf
) -> None:
    assert [found.id for found in await ShelfRepository(session).get_many([uuid4(), shelf.id])] == [
        shelf.id
    ]


async def test_list_returns_the_oldest_first(session: AsyncSession, shelf: LabShelf) -> None:
    books = await BookRepository(session).list(limit=2, offset=1)

    assert [book.title for book in books] == ["Book 1", "Book 2"]


async def test_count_counts(session: AsyncSession, shelf: LabShelf) -> None:
    assert await BookRepository(session).count() == 3


async def test_create_takes_a_schema(session: AsyncSession) -> None:
    created = await ShelfRepository(session).create(ShelfCreate(name="one"))

    assert (await ShelfRepository(session).get(created.id)).name == "one"


async def test_add_raises_what_the_database_refuses(session: AsyncSession, shelf: LabShelf) -> None:
    with pytest.raises(DBAPIError):
        await ShelfRepository(session).add(LabShelf(name=shelf.name))


async def test_update_changes_only_what_was_sent(session: AsyncSession, shelf: LabShelf) -> None:
    shelves = ShelfRepository(session)
    found = await shelves.get(shelf.id)

    await shelves.update(found, ShelfUpdate())
    assert found.name == "The shelf"

    await shelves.update(found, ShelfUpdate(name="renamed"))
    assert found.name == "renamed"


async def test_delete_deletes_what_belongs_to_the_record(
    session: AsyncSession, shelf: LabShelf
) -> None:
    shelves = ShelfRepository(session)

    await shelves.delete(await shelves.get(shelf.id, selectinload(LabShelf.books)))

    assert await BookRepository(session).count() == 0


async def test_a_child_that_is_taken_out_is_deleted(session: AsyncSession, shelf: LabShelf) -> None:
    found = await ShelfRepository(session).get(shelf.id, selectinload(LabShelf.books))
    found.books.pop()
    await session.flush()

    assert await BookRepository(session).count() == 2
