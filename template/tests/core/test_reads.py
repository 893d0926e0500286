import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from pydantic import BaseModel
from sqlalchemy import Select, String, bindparam, column, event, func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import aliased

from app.core import driver
from app.core.database import Database, ReadOnlyError
from app.core.errors import NotFoundError, UnavailableError
from app.core.failures import Failure
from app.core.pagination import read_page_of
from app.core.reads import plans_for, read_all
from app.core.settings import CoreSettings
from tests.conftest import CountStatements, checked_out
from tests.core.conftest import LabApp, ReadLog
from tests.core.lab import (
    SAMPLES_BY_NAME,
    Color,
    LabBook,
    LabSample,
    LabShelf,
    SampleFamily,
    SampleName,
    SampleRead,
    SampleRepository,
    ShelfRead,
    ShelfRepository,
)

# Some databases store a decimal as a number.
pytestmark = pytest.mark.filterwarnings("ignore:Dialect .* does .*not.* support Decimal")

ALL_SAMPLES = select(LabSample).order_by(LabSample.id)
NOON = datetime(2026, 2, 3, 12, 34, 56, 123_456, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "parent_id": UUID("01890000-0000-7000-8000-00000000abcd"),
    "at": NOON,
    "is_good": True,
    "amount": Decimal("1234567.80"),
    "details": {"a": [1, None, "é 🙂"]},
    "code": "stressed",
    "color": Color.BLUE,
}

OpenSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@pytest.fixture(params=["read session", "write session", "plain session"])
def open_session(request: pytest.FixtureRequest, database: Database) -> OpenSession:
    """Each kind of session: only the first calls the driver itself."""

    @asynccontextmanager
    async def plain() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(database.engine) as session:
            yield session

    kinds = {"read session": database.read, "write session": database.transaction}
    return kinds.get(request.param, plain)


async def store(session: AsyncSession, *records: Any) -> None:
    session.add_all(records)
    await session.commit()
    session.expunge_all()


async def delete_sample(session: AsyncSession, sample: LabSample) -> None:
    samples = SampleRepository(session)
    await samples.delete(await samples.get(sample.id))
    await session.commit()
    session.expunge_all()


async def test_values_of_each_type_are_the_same_in_every_session(
    open_session: OpenSession, session: AsyncSession
) -> None:
    sample = LabSample(name="Full", **VALUES)
    await store(session, sample)

    for _ in range(2):  # the first reading completes the dialect
        async with open_session() as reading:
            (found,) = await read_all(reading, ALL_SAMPLES, SampleRead)
            one = await SampleRepository(reading).read(sample.id, SampleRead)
        assert found == one
        assert {name: getattr(found, name) for name in VALUES} == VALUES
        assert found.id == sample.id
        assert isinstance(found.id, UUID)
        assert isinstance(found.amount, Decimal)
        assert found.is_good is True
        assert found.at is not None
        assert found.at.utcoffset() == found.created_at.utcoffset() == timedelta(0)
        assert found.created_at == sample.created_at
        assert (found.count, found.label, found.copied) == (7, "made", "Full")


async def test_nothing_is_read_as_none_in_every_session(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, LabSample(name="Empty"))

    for _ in range(2):
        async with open_session() as reading:
            (found,) = await read_all(reading, ALL_SAMPLES, SampleRead)
        assert {getattr(found, name) for name in VALUES} == {None}


@pytest.mark.parametrize("name", [name for name in VALUES if name != "details"])
async def test_a_parameter_of_each_type_finds_its_row_in_every_session(
    open_session: OpenSession, session: AsyncSession, name: str
) -> None:
    await store(session, LabSample(name="Full", **VALUES), LabSample(name="Empty"))
    by_value = select(LabSample).where(getattr(LabSample, name) == bindparam("value"))
    constant = select(LabSample).where(getattr(LabSample, name) == VALUES[name])

    for _ in range(2):
        async with open_session() as reading:
            found = await read_all(reading, by_value, SampleName, value=VALUES[name])
            found += await read_all(reading, constant, SampleName)
        assert [each.name for each in found] == ["Full", "Full"]


async def test_an_instant_of_another_zone_is_the_same_parameter(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, LabSample(name="Full", **VALUES))
    query = select(LabSample).where(LabSample.at == bindparam("at"))
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    for _ in range(2):
        async with open_session() as reading:
            assert len(await read_all(reading, query, SampleName, at=elsewhere)) == 1


async def test_a_list_of_values_is_a_parameter_too(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, LabSample(name="One"), LabSample(name="Two"), LabSample(name="Three"))
    query = select(LabSample).where(LabSample.name.in_(bindparam("names", expanding=True)))
    query = query.order_by(LabSample.id)

    for names in (["One", "Two"], [], ["Three"]):
        async with open_session() as reading:
            found = await read_all(reading, query, SampleName, names=names)
        assert [each.name for each in found] == names


async def test_a_parameter_may_be_computed_at_each_execution(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, LabSample(name="One"), LabSample(name="Two"))
    wanted = "One"
    query = select(LabSample).where(LabSample.name == bindparam(None, callable_=lambda: wanted))

    for wanted in ("One", "Two"):
        async with open_session() as reading:
            found = await read_all(reading, query, SampleName)
        assert [each.name for each in found] == [wanted]


async def test_columns_can_be_read_without_a_record(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, LabSample(name="One", **VALUES), LabSample(name="Two"))

    class Total(BaseModel):
        color: Color | None
        number: int

    number = func.count().label("number")
    query: Any = select(LabSample.color, number).group_by(LabSample.color).order_by(number)
    for _ in range(2):
        async with open_session() as reading:
            found = await read_all(reading, query.where(LabSample.color.is_not(None)), Total)
        assert found == [Total(color=Color.BLUE, number=1)]


async def test_an_unknown_id_is_not_found(open_session: OpenSession) -> None:
    for _ in range(2):
        async with open_session() as reading:
            with pytest.raises(NotFoundError):
                await SampleRepository(reading).read(uuid4(), SampleRead)


async def test_deleted_rows_are_hidden(open_session: OpenSession, session: AsyncSession) -> None:
    gone, parent = LabSample(name="Gone"), LabSample(name="Parent")
    orphan = LabSample(name="Orphan", parent_id=gone.id)
    child, lost = (LabSample(name=name, parent_id=parent.id) for name in ("Child", "Lost"))
    await store(session, gone, parent, orphan, child, lost)
    await delete_sample(session, gone)
    await delete_sample(session, lost)

    for _ in range(2):
        async with open_session() as reading:
            found = await read_all(reading, ALL_SAMPLES, SampleFamily)
            page = await read_page_of(reading, ALL_SAMPLES, SampleName, page=1, size=2)
            beyond = await read_page_of(reading, ALL_SAMPLES, SampleName, page=9, size=2)
            with pytest.raises(NotFoundError):
                await SampleRepository(reading).read(gone.id, SampleName)
        family = {
            each.name: (each.parent and each.parent.name, [child.name for child in each.children])
            for each in found
        }
        assert family == {
            "Parent": (None, ["Child"]),
            "Orphan": (None, []),
            "Child": ("Parent", []),
        }
        assert [each.name for each in page.items] == ["Parent", "Orphan"]
        assert (page.total, beyond.total, list(beyond.items)) == (3, 3, [])


async def test_deleted_rows_are_read_if_the_query_asks_for_them(
    open_session: OpenSession, session: AsyncSession
) -> None:
    gone = LabSample(name="Gone")
    await store(session, gone)
    await delete_sample(session, gone)
    query = ALL_SAMPLES.execution_options(with_deleted=True)

    for _ in range(2):
        async with open_session() as reading:
            assert [each.name for each in await read_all(reading, query, SampleName)] == ["Gone"]


@pytest.mark.parametrize("rows", [1, 20])
async def test_nested_records_take_one_statement_and_lists_one_each(
    database: Database, session: AsyncSession, count_statements: CountStatements, rows: int
) -> None:
    parents = [LabSample(name=f"Parent {number}") for number in range(rows)]
    children = [
        LabSample(name=f"Child {number}", parent_id=parents[number % rows].id)
        for number in range(2 * rows)
    ]
    await store(session, *parents, *children)
    query = select(LabSample).order_by(LabSample.id)
    async with database.read() as reading:
        await read_all(reading, query, SampleFamily)

    async with count_statements() as count, database.read() as reading:
        found = await read_all(reading, query, SampleFamily)

    assert len(count) == 2
    assert {len(each.children) for each in found if each.parent is None} == {2}
    assert all(each.parent for each in found[rows:])


async def test_without_rows_there_are_no_statements_for_lists(
    database: Database, count_statements: CountStatements
) -> None:
    async with count_statements() as count, database.read() as reading:
        assert await read_all(reading, ALL_SAMPLES, SampleFamily) == []

    assert len(count) == 1


async def test_a_record_may_be_its_own_parent(
    open_session: OpenSession, session: AsyncSession
) -> None:
    sample = LabSample(name="Both")
    sample.parent_id = sample.id
    await store(session, sample)

    for _ in range(2):
        async with open_session() as reading:
            (found,) = await read_all(reading, ALL_SAMPLES, SampleFamily)
        assert found.parent == SampleName(name="Both")
        assert found.children == [SampleName(name="Both")]


async def test_a_page_has_the_total_of_its_own_condition(
    open_session: OpenSession, session: AsyncSession
) -> None:
    await store(session, *(LabSample(name=f"Sample {number}") for number in range(5)))
    query = select(LabSample).where(LabSample.name > bindparam("after")).order_by(LabSample.id)

    for number, names in ((1, ["Sample 2", "Sample 3"]), (2, ["Sample 4"]), (3, [])):
        async with open_session() as reading:
            page = await read_page_of(
                reading, query, SampleName, page=number, size=2, after="Sample 1"
            )
        assert ([each.name for each in page.items], page.total) == (names, 3)


@asynccontextmanager
async def most_connections(database: Database) -> AsyncIterator[list[int]]:
    """The number of connections in use after each one that is taken from the pool."""
    counts: list[int] = []
    pool: Any = database.read_engine.pool

    def note(*_: Any) -> None:
        counts.append(pool.checkedout())

    event.listen(database.read_engine.sync_engine, "checkout", note)
    try:
        yield counts
    finally:
        event.remove(database.read_engine.sync_engine, "checkout", note)


async def test_records_and_schemas_are_read_on_one_connection(
    client_with: LabApp, shelf: LabShelf
) -> None:
    one_connection = {"database_pool_size": 1, "database_max_overflow": 0}
    async with client_with(**one_connection) as (_, database):  # noqa: SIM117
        async with most_connections(database) as counts:
            for order in ("sr", "rs", "srs", "rsr", "rcs", "scr", "rcsr", "rcscr"):
                async with database.read() as reading:
                    shelves = ShelfRepository(reading)
                    for step in order:
                        if step == "c":
                            await reading.commit()
                        elif step == "r":
                            assert (await shelves.get(shelf.id)).name == "The shelf"
                        else:
                            assert await shelves.read(shelf.id, ShelfRead)
                pool: Any = database.read_engine.pool
                assert pool.checkedout() == 0

    assert max(counts) == 1


async def test_a_lock_is_refused_in_a_read_session(database: Database, shelf: LabShelf) -> None:
    query = select(LabShelf).with_for_update()

    for _ in range(2):
        async with database.read() as reading:
            with pytest.raises(ReadOnlyError):
                await read_all(reading, query, ShelfRead)


async def test_a_lock_is_taken_in_a_transaction(database: Database, shelf: LabShelf) -> None:
    async with database.transaction() as own:
        found = await read_all(own, select(LabShelf).with_for_update(), ShelfRead)

    assert [each.name for each in found] == ["The shelf"]


def test_the_private_name_by_which_locks_are_found_is_there() -> None:
    assert select(LabShelf)._for_update_arg is None
    assert select(LabShelf).with_for_update()._for_update_arg is not None


async def test_schemas_cannot_be_read_from_a_closed_session(
    database: Database, shelf: LabShelf
) -> None:
    for _ in range(2):
        async with database.read() as reading:
            assert await ShelfRepository(reading).read(shelf.id, ShelfRead)

        with pytest.raises(Exception, match="closed"):
            await ShelfRepository(reading).read(shelf.id, ShelfRead)


class Number(BaseModel):
    number: int


def endless() -> Select[Any]:
    """Looks at the combinations of three rows with each other, billions of them."""
    books = [aliased(LabBook) for _ in range(20)]
    number = func.sum(books[0].price + books[-1].price).label("number")
    return select(number).select_from(*books).where(books[0].price + books[-1].price >= 0)


@pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product")
async def test_a_cancelled_reading_gives_its_connection_back(
    database: Database, shelf: LabShelf
) -> None:
    query = endless()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), database.read() as reading:
                await read_all(reading, query, Number)
        assert checked_out(database) == 0

    async with database.read() as reading:
        assert await ShelfRepository(reading).read(shelf.id, ShelfRead)


@pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product")
async def test_after_a_cancelled_reading_the_session_has_another_connection(
    database: Database, shelf: LabShelf
) -> None:
    query = endless()
    for first in (False, True):
        async with database.read() as reading:
            if first:
                await ShelfRepository(reading).get(shelf.id)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await read_all(reading, query, Number)
        assert checked_out(database) == 0


@pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product")
async def test_a_statement_that_takes_too_long_is_a_failure_of_the_database(
    settings: CoreSettings, shelf: LabShelf
) -> None:
    limits = {"database_statement_timeout_seconds": 0.3, "database_request_timeout_seconds": 1.5}
    limited = Database(settings.model_copy(update=limits))
    query = endless()

    for _ in range(2):
        with pytest.raises(
            (DBAPIError, UnavailableError)
        ) as error:  # not all have a limit themselves
            await limited.fetch(lambda own: read_all(own, query, Number))
        if isinstance(error.value, DBAPIError):
            assert driver.failure_of(error.value) is Failure.TIMEOUT
        assert (await limited.fetch(lambda own: read_all(own, ALL_SAMPLES, SampleName))) == []
    assert checked_out(limited) == 0
    await limited.dispose()


async def test_what_the_database_refuses_has_the_same_status_and_no_values_in_the_log(
    client: AsyncClient, read_log: ReadLog, session: AsyncSession
) -> None:
    ok = await client.get("/lab/samples", params={"name": "hush"})
    read_log()

    with pytest.raises((DBAPIError, OverflowError)) as error:
        await session.execute(SAMPLES_BY_NAME, {"name": "hush", "limit": 2**70})
    failure = driver.failure_of(error.value) if isinstance(error.value, DBAPIError) else None
    for _ in range(2):
        answer = await client.get("/lab/samples", params={"name": "hush", "limit": 2**70})
        (line,) = read_log()
        assert answer.status_code == (422 if failure is Failure.INVALID_VALUE else 500)
        assert "hush" not in str(line)
        assert str(2**70) not in str(line)
    assert ok.status_code == 200


async def test_an_error_is_sqlalchemys_without_values(database: Database, shelf: LabShelf) -> None:
    query = select(LabBook.title.label("name")).where(LabBook.price == bindparam("price"))
    await database.fetch(lambda own: read_all(own, query, SampleName, price=1))
    missing = select(func.no_such_function(bindparam("value", "hush")).label("name"))

    for _ in range(2):
        with pytest.raises(DBAPIError) as error:
            await database.fetch(lambda own: read_all(own, missing, SampleName))
        assert "hush" not in str(error.value)
        assert driver.failure_of(error.value) is None
    assert checked_out(database) == 0


async def test_statements_are_logged_if_that_is_wanted(
    settings: CoreSettings, shelf: LabShelf, caplog: pytest.LogCaptureFixture
) -> None:
    talkative = Database(settings.model_copy(update={"database_echo": True}))
    query = select(LabShelf).where(LabShelf.name == bindparam("name"))
    with caplog.at_level("INFO", "sqlalchemy.engine.Engine"):
        for _ in range(2):
            caplog.clear()
            await talkative.fetch(lambda own: read_all(own, query, ShelfRead, name="Ada's"))
    await talkative.dispose()

    (line,) = [line for line in caplog.messages if "lab_shelves" in line]
    assert "Ada's" in line


async def test_an_error_does_not_end_the_session(database: Database, shelf: LabShelf) -> None:
    missing = select(func.no_such_function(1).label("name"))
    async with database.read() as reading:
        for _ in range(2):
            with pytest.raises(DBAPIError):
                await read_all(reading, missing, SampleName)
            assert await ShelfRepository(reading).read(shelf.id, ShelfRead)
    assert checked_out(database) == 0


class Title(BaseModel):
    title: str


async def test_a_query_is_forgotten_with_its_plans(database: Database, shelf: LabShelf) -> None:
    kept = select(LabBook).order_by(LabBook.id)
    async with database.read() as reading:
        await read_all(reading, kept, Title)
        known = inspect.getclosurevars(plans_for).nonlocals["made"]
        gc.collect()
        before = len(known)
        assert kept in known
        for number in range(1000):
            query = select(LabBook.title).where(LabBook.price == number % 3)
            assert await read_all(reading, query, Title)
        for _ in range(20):
            ordered = select(LabBook).order_by(LabBook.id)
            await read_page_of(reading, ordered, Title, page=1, size=1)
        del query, ordered
        gc.collect()

    assert len(known) <= before
    assert plans_for(kept)


async def test_a_table_may_change_between_two_readings(
    database: Database, sweeper: AsyncEngine
) -> None:
    """A migration while the service runs: a prepared statement is stale then."""
    query = select(column("title", String)).select_from(table("lab_scratch"))
    try:
        async with database.read() as reading:
            for kind in ("VARCHAR(10)", "TEXT", "VARCHAR(20)"):
                async with sweeper.begin() as connection:
                    await connection.execute(text("DROP TABLE IF EXISTS lab_scratch"))
                    await connection.execute(text(f"CREATE TABLE lab_scratch (title {kind})"))
                    await connection.execute(text("INSERT INTO lab_scratch VALUES ('one')"))
                assert await read_all(reading, query, Title) == [Title(title="one")]
            found = await database.fetch(lambda own: read_all(own, query, Title))
            assert found == [Title(title="one")]
    finally:
        async with sweeper.begin() as connection:
            await connection.execute(text("DROP TABLE IF EXISTS lab_scratch"))
