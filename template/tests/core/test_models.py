from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint, select
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.models import Base
from app.core.registry import import_models
from tests.core.lab import METADATA, LabBook, LabCounter, LabShelf

NOON = datetime(2026, 3, 29, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


async def store(session: AsyncSession, shelf: LabShelf, read_at: datetime) -> LabBook:
    book = LabBook(title="Dated", shelf_id=shelf.id, read_at=read_at)
    session.add(book)
    await session.commit()
    session.expunge_all()
    return (await session.scalars(select(LabBook).where(LabBook.id == book.id))).one()


async def test_an_instant_comes_back_in_utc_with_its_microseconds(
    session: AsyncSession, shelf: LabShelf
) -> None:
    book = await store(session, shelf, NOON)

    assert book.read_at == NOON
    assert book.read_at is not None
    assert book.read_at.tzinfo is UTC


async def test_an_instant_is_found_in_any_time_zone(session: AsyncSession, shelf: LabShelf) -> None:
    await store(session, shelf, NOON)

    query = select(LabBook).where(LabBook.read_at == NOON.astimezone(UTC))
    assert len((await session.scalars(query)).all()) == 1


async def test_a_datetime_without_a_time_zone_is_refused(
    session: AsyncSession, shelf: LabShelf
) -> None:
    with pytest.raises(StatementError, match="time zone"):
        await store(session, shelf, NOON.replace(tzinfo=None))


def test_an_id_is_there_before_the_record_is_stored() -> None:
    assert LabShelf(name="one").id.version == 7


def test_an_id_can_be_given() -> None:
    given = uuid4()

    assert LabShelf(id=given, name="one").id == given


async def test_ids_sort_in_the_database_as_they_were_made(session: AsyncSession) -> None:
    shelves = [LabShelf(name=f"Shelf {number}") for number in range(300)]
    session.add_all(shelves)
    await session.commit()

    ids = (await session.scalars(select(LabShelf.id).order_by(LabShelf.id))).all()

    assert ids == [shelf.id for shelf in shelves]
    middle = ids[150]
    after = await session.scalars(select(LabShelf.id).where(LabShelf.id > middle))
    assert set(after) == set(ids[151:])


async def test_a_uuid_of_digits_comes_back(session: AsyncSession) -> None:
    digits = UUID("12345678901234567890123456789012")
    session.add(LabShelf(id=digits, name="one"))
    await session.commit()
    session.expunge_all()

    assert await session.scalar(select(LabShelf.id)) == digits


async def test_an_integer_key_is_counted_up(session: AsyncSession) -> None:
    first, second = LabCounter(name="a"), LabCounter(name="b")
    session.add(first)
    await session.flush()
    session.add(second)
    await session.flush()

    assert second.id > first.id > 0


async def test_a_change_sets_when_it_was(session: AsyncSession, shelf: LabShelf) -> None:
    session.add(shelf)
    created_at, updated_at = shelf.created_at, shelf.updated_at
    shelf.name = "renamed"
    await session.flush()

    assert shelf.updated_at > updated_at  # without a query: the service sets it
    assert shelf.created_at == created_at


async def test_a_relationship_can_be_awaited(session: AsyncSession, shelf: LabShelf) -> None:
    book = (await session.scalars(select(LabBook).limit(1))).one()

    assert (await book.awaitable_attrs.shelf_on_demand).id == shelf.id


def test_every_constraint_and_index_has_a_name() -> None:
    for table in METADATA.sorted_tables:
        assert all(constraint.name for constraint in table.constraints)
        assert all(index.name for index in table.indexes)


def test_every_foreign_key_has_an_index() -> None:
    import_models()
    for table in Base.metadata.sorted_tables:
        led_by = {index.columns.values()[0] for index in table.indexes}
        keys = (PrimaryKeyConstraint, UniqueConstraint)  # each has an index in every database
        led_by |= {key.columns.values()[0] for key in table.constraints if isinstance(key, keys)}
        missing = {key.parent for key in table.foreign_keys} - led_by

        assert not missing, f"without an index, each delete of the other row reads all of {table}"


def test_every_relationship_raises_when_it_was_not_loaded() -> None:
    import_models()
    tables = set(Base.metadata.sorted_tables)
    mappers = [mapper for mapper in Base.registry.mappers if mapper.local_table in tables]
    lazy = [
        str(relationship)
        for mapper in mappers
        for relationship in mapper.relationships
        if relationship.lazy not in {"raise", "write_only"}
    ]

    assert lazy == [], "loading on access is a hidden query: use lazy='raise'"
