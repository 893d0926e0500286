import asyncio
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from pydantic import BaseModel
from sqlalchemy import null, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.database import Database, ReadOnlyError
from app.core.failures import Failure
from app.core.inserts import insert_record
from app.core.models import utc_now
from tests.conftest import CountStatements, checked_out
from tests.core.conftest import ReadLog
from tests.core.lab import (
    Color,
    LabBook,
    LabCounter,
    LabNote,
    LabSample,
    LabShelf,
    SampleCreate,
    SampleFamily,
    SampleName,
    SampleRead,
    SampleRepository,
    ShelfCreate,
    ShelfRead,
)

# Some databases store a decimal as a number.
pytestmark = pytest.mark.filterwarnings("ignore:Dialect .* does .*not.* support Decimal")

FULL = SampleCreate(
    name="full",
    parent_id=UUID("01890000-0000-7000-8000-00000000abcd"),
    at=datetime(2026, 2, 3, 12, 34, 56, 123_456, tzinfo=timezone(timedelta(hours=2))),
    is_good=False,
    amount=Decimal("1234567.80"),
    details={"a": [1, None, "é 🙂"]},
    code="stressed",
    color=Color.BLUE,
)


async def names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(LabSample.name).order_by(LabSample.id)))


async def store(own: AsyncSession, step: str, name: str) -> None:
    """Store a sample: `i` by an insert, `r` as a record, nothing without a step."""
    if step == "i":
        await SampleRepository(own).insert(SampleCreate(name=name), SampleRead)
    elif step == "r":
        await SampleRepository(own).add(LabSample(name=name))


@pytest.mark.parametrize("data", [FULL, SampleCreate(name="empty")])
async def test_what_is_returned_is_what_can_be_read(
    database: Database,
    session: AsyncSession,
    data: SampleCreate,
    count_statements: CountStatements,
) -> None:
    async with count_statements() as count, database.transaction() as own:
        stored = await SampleRepository(own).insert(data, SampleRead)

    assert len(count) == 1
    assert await SampleRepository(session).read(stored.id, SampleRead) == stored
    record = await SampleRepository(session).get(stored.id)
    assert SampleRead.model_validate(record) == stored
    given = data.model_dump(exclude={"name"})
    assert stored.model_dump(include=set(given)) == given


async def test_defaults_and_validators_of_the_model_apply(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        stored = await SampleRepository(own).insert(SampleCreate(name="ada"), SampleRead)

    record = await SampleRepository(session).get(stored.id)
    assert (stored.name, stored.count, stored.label, stored.copied) == ("Ada", 7, "made", "Ada")
    assert (record.name, record.count, record.label, record.copied) == ("Ada", 7, "made", "Ada")
    assert (record.is_live, record.deleted_at) == (True, None)
    assert abs(utc_now() - stored.created_at) < timedelta(minutes=1)


async def test_a_default_sees_what_was_given(database: Database, session: AsyncSession) -> None:
    gone = LabSample(name="gone", deleted_at=utc_now(), details=None)
    async with database.transaction() as own:
        assert await insert_record(own, gone, SampleName)

    query = select(LabSample).execution_options(with_deleted=True)
    assert (await session.scalars(query)).one().is_live is None


async def test_what_a_validator_refuses_is_not_stored(
    database: Database, session: AsyncSession
) -> None:
    with pytest.raises(ValueError, match="refused"):
        async with database.transaction() as own:
            await SampleRepository(own).insert(SampleCreate(name="refused"), SampleRead)

    assert await names(session) == []


async def test_a_document_that_is_not_given_is_null(
    database: Database, session: AsyncSession
) -> None:
    """As in a record: `None` is the `null` of JSON, and nothing is the NULL of SQL."""
    async with database.transaction() as own:
        await SampleRepository(own).insert(ShelfCreate(name="nothing"), SampleName)
        await SampleRepository(own).insert(SampleCreate(name="null"), SampleName)

    query = select(LabSample.name).where(LabSample.details.is_(null()))
    assert list(await session.scalars(query)) == ["Nothing"]


async def test_related_records_are_read_after_the_insert(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        samples = SampleRepository(own)
        parent = await samples.insert(SampleCreate(name="parent"), SampleRead)
        child = await samples.insert(SampleCreate(name="child", parent_id=parent.id), SampleFamily)

    assert child.parent == SampleName(name="Parent")
    assert child.children == []
    assert await names(session) == ["Parent", "Child"]


async def test_records_that_the_new_one_brings_along_are_stored_too(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        shelf = LabShelf(name="The shelf", books=[LabBook(title="Book")])
        await insert_or_add(own, shelf, ShelfRead)

    async with database.transaction() as own:
        other = LabShelf(name="Other")
        own.add(other)
        await insert_or_add(own, LabBook(title="Second", shelf=other), SampleId)

    titles = select(LabBook.title).order_by(LabBook.id)
    assert list(await session.scalars(titles)) == ["Book", "Second"]


class SampleId(BaseModel):
    id: Any


async def insert_or_add(session: AsyncSession, record: Any, schema: type[BaseModel]) -> None:
    """What `Repository.insert` does."""
    if await insert_record(session, record, schema) is None:
        session.add(record)
        await session.flush()


async def test_what_only_the_database_knows_takes_the_sessions_own_ways(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        assert await insert_record(own, LabCounter(name="one"), SampleId) is None
        assert await insert_record(own, LabNote(text="one"), SampleId) is None
        await insert_or_add(own, LabCounter(name="two"), SampleId)
        await insert_or_add(own, LabNote(text="two"), SampleId)

    assert list(await session.scalars(select(LabCounter.name))) == ["two"]
    assert [note.version for note in await session.scalars(select(LabNote))] == [1]


@pytest.mark.parametrize("order", ["i", "r", "ir", "ri", "iri", "rir"])
@pytest.mark.parametrize("fails", [False, True])
async def test_inserts_and_records_are_one_transaction(
    database: Database, session: AsyncSession, order: str, fails: bool
) -> None:
    async def work() -> None:
        async with database.transaction() as own:
            for number, step in enumerate(order):
                await store(own, step, f"sample {number}")
                assert await names(own) == [f"Sample {each}" for each in range(number + 1)]
                assert checked_out(database) == 1
            if fails:
                raise RuntimeError

    if fails:
        with pytest.raises(RuntimeError):
            await work()
    else:
        await work()

    stored = [] if fails else [f"Sample {number}" for number in range(len(order))]
    assert await names(session) == stored
    assert checked_out(database) == 0


async def test_new_records_are_stored_before_the_insert(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        own.add(LabSample(name="first"))
        await SampleRepository(own).insert(SampleCreate(name="second"), SampleRead)
        own.add(LabSample(name="third"))

    assert await names(session) == ["First", "Second", "Third"]


@pytest.mark.parametrize("before", ["", "i", "r"])
@pytest.mark.parametrize("after", ["", "i", "r"])
async def test_a_savepoint_undoes_an_insert(
    database: Database, session: AsyncSession, before: str, after: str
) -> None:
    async def store_twice(own: AsyncSession) -> None:
        async with own.begin_nested():
            await store(own, "i", "undone")
            await store(own, "r", "undone too")
            await store(own, "i", "undone")

    async with database.transaction() as own:
        await store(own, before, "before")
        with pytest.raises(IntegrityError):
            await store_twice(own)
        await store(own, after, "after")

    expected = [name for step, name in ((before, "Before"), (after, "After")) if step]
    assert await names(session) == expected
    assert checked_out(database) == 0


@pytest.mark.parametrize("order", ["ii", "ri", "ir"])
async def test_a_duplicate_is_an_integrity_error_and_stores_nothing(
    database: Database, session: AsyncSession, order: str
) -> None:
    async def work() -> None:
        async with database.transaction() as own:
            for step in order:
                await store(own, step, "one")

    with pytest.raises(IntegrityError) as error:
        await work()

    assert driver.failure_of(error.value) is Failure.DUPLICATE
    assert await names(session) == []
    assert checked_out(database) == 0


async def test_a_transaction_can_be_run_again_after_an_insert(
    database: Database, session: AsyncSession
) -> None:
    async with database.transaction() as own:
        samples = SampleRepository(own)
        await samples.insert(SampleCreate(name="undone"), SampleRead)
        await own.rollback()
        await samples.insert(SampleCreate(name="kept"), SampleRead)
        await own.commit()
        await samples.insert(SampleCreate(name="kept too"), SampleRead)
        assert checked_out(database) == 1

    assert await names(session) == ["Kept", "Kept too"]


async def test_an_insert_works_in_a_plain_session(session: AsyncSession) -> None:
    stored = await SampleRepository(session).insert(FULL, SampleRead)
    assert await SampleRepository(session).read(stored.id, SampleRead) == stored
    await session.rollback()

    assert await names(session) == []


async def test_an_insert_is_refused_in_a_read_session(
    client: AsyncClient, database: Database, session: AsyncSession
) -> None:
    async with database.read() as reading:
        with pytest.raises(ReadOnlyError):
            await SampleRepository(reading).insert(FULL, SampleRead)
    response = await client.post("/lab/samples/read-only", json={"name": "one"})

    assert response.status_code == 500
    assert await names(session) == []


async def test_a_duplicate_is_a_409_without_values_in_the_log(
    client: AsyncClient, session: AsyncSession, read_log: ReadLog
) -> None:
    created = await client.post("/lab/samples", json={"name": "hush"})
    read_log()

    again = await client.post("/lab/samples", json={"name": "hush"})

    (line,) = read_log()
    assert (created.status_code, again.status_code) == (201, 409)
    assert (line["status"], line["error"]) == (409, "DUPLICATE")
    assert "hush" not in str(line).lower()
    assert await names(session) == ["Hush"]


async def test_the_response_is_what_the_next_request_reads(
    client: AsyncClient, session: AsyncSession
) -> None:
    response = await client.post("/lab/samples", json={"name": "one", "parent_id": str(uuid4())})
    assert response.status_code == 201
    fits = await client.get(f"/lab/samples/{response.json()['id']}")

    assert fits.json() == response.json()


async def test_a_commit_that_fails_after_an_insert_is_never_a_success(
    client: AsyncClient, session: AsyncSession
) -> None:
    response = await client.post("/lab/samples/unflushed", json={"name": "one"})

    assert response.status_code == 409
    assert await names(session) == []


async def test_a_cancelled_insert_leaves_nothing(database: Database, session: AsyncSession) -> None:
    async def insert() -> None:
        async with database.transaction() as own:
            await SampleRepository(own).insert(SampleCreate(name="one"), SampleRead)
            await SampleRepository(own).insert(SampleCreate(name="two"), SampleRead)

    async with database.transaction() as other:
        await SampleRepository(other).insert(SampleCreate(name="two"), SampleRead)
        inserting = asyncio.create_task(insert())
        await asyncio.sleep(0.2)  # it waits for the end of the other transaction
        inserting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await inserting
        assert checked_out(database) == 1

    assert await names(session) == ["Two"]


@pytest.mark.parametrize("order", ["i", "r", "ir", "ri"])
async def test_what_was_written_before_a_caught_error_is_stored_or_the_commit_fails(
    database: Database, session: AsyncSession, order: str
) -> None:
    async def work() -> None:
        async with database.transaction() as own:
            for step in order:
                await store(own, step, "one" if step == "i" else "two")
            with pytest.raises(DBAPIError):
                await own.execute(text("INSERT INTO no_such_table VALUES (1)"))

    try:
        await work()
    except DBAPIError:
        expected = []
    else:
        expected = ["One" if step == "i" else "Two" for step in order]

    assert await names(session) == expected
    assert checked_out(database) == 0
