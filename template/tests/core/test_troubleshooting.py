"""The problems that `docs/troubleshooting.md` describes, provoked."""

import gc

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError, MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import DetachedInstanceError

from app.core.database import Database
from app.core.reads import read_all
from app.core.schemas import ResponseModel
from tests.conftest import CountStatements
from tests.core.conftest import LabApp
from tests.core.lab import LabBook, LabShelf


async def test_a_relationship_that_was_not_loaded_raises(
    session: AsyncSession, shelf: LabShelf
) -> None:
    found = (await session.scalars(select(LabShelf))).one()

    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        _ = found.books


async def test_a_field_that_is_no_column_cannot_be_read(database: Database) -> None:
    class ShelfRead(ResponseModel):
        length: int

    async with database.read() as reading:
        with pytest.raises(TypeError, match=r"ShelfRead.length is not a column"):
            await read_all(reading, select(LabShelf), ShelfRead)


async def test_a_record_outside_its_session_cannot_load(
    session: AsyncSession, shelf: LabShelf
) -> None:
    book = (await session.scalars(select(LabBook).limit(1))).one()
    session.expunge_all()

    with pytest.raises(DetachedInstanceError, match="not bound to a Session"):
        _ = book.shelf_on_demand


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_expired_attribute_needs_the_event_loop(
    session: AsyncSession, shelf: LabShelf
) -> None:
    found = (await session.scalars(select(LabShelf))).one()
    session.expire(found)

    with pytest.raises((MissingGreenlet, StatementError), match="greenlet_spawn"):
        _ = found.name
    gc.collect()  # some drivers leave a coroutine behind that is never awaited

    assert await found.awaitable_attrs.name == "The shelf"


async def test_a_list_with_relations_takes_a_fixed_number_of_statements(
    session: AsyncSession, database: Database, count_statements: CountStatements
) -> None:
    shelves = [LabShelf(name=f"{n}", books=[LabBook(title="Book")]) for n in range(20)]
    session.add_all(shelves)
    await session.commit()

    async with count_statements() as count, database.read() as reading:
        query = select(LabShelf).options(selectinload(LabShelf.books))
        titles = [book.title for found in await reading.scalars(query) for book in found.books]

    assert len(titles) == 20
    assert len(count) == 2


async def test_a_pool_that_is_in_use_is_a_503(client_with: LabApp) -> None:
    one_connection = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.1}
    async with client_with(**one_connection) as (client, database), database.read():
        response = await client.get("/lab/shelves")

    assert response.status_code == 503
    assert response.json()["detail"] == "All connections to the database are in use."
