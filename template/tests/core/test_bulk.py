import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bulk import (
    count_affected,
    delete_rows,
    insert_rows,
    update_by_ids,
    update_rows,
    upsert_rows,
)
from app.core.database import Database
from tests.conftest import CountStatements
from tests.core.lab import LabBook, LabCounter, LabShelf


def shelf_rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"name": f"Shelf {number:05}"} for number in range(count))


async def names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(LabShelf.name).order_by(LabShelf.name)))


async def test_rows_are_inserted_in_chunks(
    database: Database, session: AsyncSession, count_statements: CountStatements
) -> None:
    async with count_statements() as count, database.transaction() as own:
        assert await insert_rows(own, LabShelf, shelf_rows(2500)) == 2500

    assert len(count) <= 3
    assert len(await names(session)) == 2500
    assert await session.scalar(select(LabShelf.created_at).limit(1)) is not None


async def test_objects_are_stored_by_few_statements(
    database: Database, count_statements: CountStatements
) -> None:
    async with count_statements() as count, database.transaction() as own:
        own.add_all([LabShelf(name=f"Shelf {number}") for number in range(50)])
        await own.flush()

    assert len(count) == 1


async def test_rows_are_updated_by_their_keys(session: AsyncSession) -> None:
    await insert_rows(session, LabShelf, shelf_rows(3))
    shelves = (await session.scalars(select(LabShelf).order_by(LabShelf.name))).all()
    before = [shelf.updated_at for shelf in shelves]
    session.expunge_all()

    rows = [{"id": shelf.id, "name": f"{shelf.name}!"} for shelf in shelves[1:]]
    assert await update_rows(session, LabShelf, rows) == 2

    assert await names(session) == ["Shelf 00000", "Shelf 00001!", "Shelf 00002!"]
    after = await session.scalars(select(LabShelf.updated_at).order_by(LabShelf.name))
    assert [new > old for new, old in zip(after, before, strict=True)] == [False, True, True]


async def test_an_upsert_inserts_and_updates(session: AsyncSession) -> None:
    await insert_rows(session, LabShelf, shelf_rows(2))
    known = (await session.scalars(select(LabShelf).order_by(LabShelf.name))).first()
    assert known is not None
    session.expunge_all()

    rows = [{"name": "Shelf 00002"}, {"name": known.name}, {"name": "Shelf 00002"}]
    assert await upsert_rows(session, LabShelf, rows, key=["name"], update=["name"]) == 2

    assert len(await names(session)) == 3
    found = await session.scalar(select(LabShelf).where(LabShelf.id == known.id))
    assert found is not None
    assert found.created_at == known.created_at
    assert found.updated_at > known.updated_at


async def test_an_upsert_of_nothing_to_update_leaves_rows_as_they_are(
    session: AsyncSession,
) -> None:
    await upsert_rows(session, LabCounter, [{"name": "a"}, {"name": "b"}], key=["name"], update=[])
    await upsert_rows(session, LabCounter, [{"name": "b"}, {"name": "c"}], key=["name"], update=[])

    found = await session.scalars(select(LabCounter.name).order_by(LabCounter.name))
    assert list(found) == ["a", "b", "c"]


async def test_upserts_of_the_same_rows_do_not_wait_for_each_other(
    database: Database, session: AsyncSession
) -> None:
    rows = list(shelf_rows(20))

    async def write(rows: list[dict[str, Any]]) -> None:
        async with database.transaction() as own:
            await upsert_rows(own, LabShelf, rows, key=["name"], update=["name"])

    await asyncio.gather(*(write(rows if number % 2 else rows[::-1]) for number in range(8)))

    assert len(await names(session)) == 20


async def test_an_update_returns_the_ids_of_what_it_found(session: AsyncSession) -> None:
    await insert_rows(session, LabShelf, shelf_rows(1))
    (shelf_id,) = (await session.scalars(select(LabShelf.id))).all()

    found = await update_by_ids(session, LabShelf, [shelf_id, uuid4()], {"name": "renamed"})

    assert list(found) == [shelf_id]
    assert await names(session) == ["renamed"]


async def test_an_update_by_ids_can_have_a_condition(session: AsyncSession) -> None:
    await insert_rows(session, LabShelf, shelf_rows(2))
    ids = (await session.scalars(select(LabShelf.id).order_by(LabShelf.name))).all()
    condition = LabShelf.name == "Shelf 00001"

    assert await update_by_ids(session, LabShelf, ids, {"name": "new"}, condition) == [ids[1]]
    assert await names(session) == ["Shelf 00000", "new"]


async def test_rows_that_matched_are_counted_also_if_nothing_in_them_changed(
    session: AsyncSession,
) -> None:
    await insert_rows(session, LabCounter, [{"name": "a"}, {"name": "b"}])

    same = update(LabCounter).where(LabCounter.name == "a").values(name="a")
    assert await count_affected(session, same) == 1
    assert await count_affected(session, same.where(LabCounter.name == "b")) == 0
    assert await count_affected(session, delete(LabCounter)) == 2


async def test_more_ids_than_a_statement_takes_are_deleted(session: AsyncSession) -> None:
    await insert_rows(session, LabShelf, shelf_rows(2500))
    ids = (await session.scalars(select(LabShelf.id))).all()

    assert await delete_rows(session, LabShelf, [*ids, uuid4()]) == 2500
    assert await names(session) == []


async def test_a_batch_can_be_flushed_now_and_then(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        shelf = LabShelf(name="one", books=[])
        own.add(shelf)
        for number in range(25):
            own.add(LabBook(shelf_id=shelf.id, title=f"Book {number}"))
            if number % 10 == 9:
                await own.flush()
                assert not own.new

    assert len((await session.scalars(select(LabBook.id))).all()) == 25
