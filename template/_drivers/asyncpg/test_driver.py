"""What is particular to PostgreSQL and asyncpg."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.database import Database
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings
from tests.core.lab import LabBook, LabShelf

TERMINATE = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize(
    "given",
    [
        "postgresql+asyncpg://ada:secret@db:5432/app",
        "postgresql://ada:secret@db:5432/app",
        "postgres://ada:secret@db:5432/app",
    ],
)
def test_the_urls_that_platforms_hand_out_are_understood(given: str) -> None:
    url = driver.check_url(sa.make_url(given))

    assert (
        url.render_as_string(hide_password=False) == "postgresql+asyncpg://ada:secret@db:5432/app"
    )


def test_the_sslmode_of_other_drivers_is_understood() -> None:
    url = driver.check_url(sa.make_url("postgres://db/app?sslmode=require&application_name=x"))

    assert dict(url.query) == {"ssl": "require", "application_name": "x"}


@pytest.mark.parametrize("given", ["postgresql+psycopg://db/app", "postgresql+asyncpg://db"])
def test_other_urls_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        driver.check_url(sa.make_url(given))


async def test_a_connection_that_was_lost_in_the_pool_is_replaced(
    database: Database, session: AsyncSession
) -> None:
    async with database.read() as reading, database.transaction() as writing:
        await reading.execute(select(1))
        await writing.execute(select(1))
    await session.execute(TERMINATE)
    await asyncio.sleep(0.05)

    async with database.read() as reading, database.transaction() as writing:
        assert await reading.scalar(select(1)) == 1
        assert await writing.scalar(select(1)) == 1


async def test_a_connection_that_lay_idle_is_asked_before_it_is_used(
    database: Database, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = Database(settings.model_copy(update={"database_ping_after_idle_seconds": 0}))
    pinged = 0
    ping = careful.engine.dialect.do_ping

    def count(connection: Any) -> bool:
        nonlocal pinged
        pinged += 1
        return ping(connection)

    monkeypatch.setattr(careful.engine.dialect, "do_ping", count)
    for _ in range(2):
        async with careful.transaction() as session:
            await session.execute(select(1))
    await careful.dispose()

    assert pinged == 1


async def test_the_server_ends_a_statement_that_takes_too_long(
    database: Database, settings: CoreSettings
) -> None:
    changes = {"database_statement_timeout_seconds": 0.2}
    hurried = Database(settings.model_copy(update=changes))

    with pytest.raises(DBAPIError) as error:
        await hurried.fetch(lambda session: session.execute(text("SELECT pg_sleep(5)")))
    await hurried.dispose()

    assert driver.failure_of(error.value) is Failure.TIMEOUT


async def test_a_cancelled_statement_holds_no_lock(
    database: Database, shelf: LabShelf, session: AsyncSession
) -> None:
    async def dawdle() -> None:
        async with database.transaction() as own:
            await own.execute(update(LabShelf).values(name="theirs"))
            await own.execute(text("SELECT pg_sleep(5)"))

    task = asyncio.create_task(dawdle())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait({task})

    await session.execute(text("SET LOCAL lock_timeout = '1s'"))
    await session.execute(update(LabShelf).values(name="ours"))


async def test_one_of_two_that_wait_for_each_other_is_run_again(
    database: Database, session: AsyncSession, shelf: LabShelf
) -> None:
    books = (await session.scalars(select(LabBook.id).order_by(LabBook.id).limit(2))).all()
    await session.rollback()
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    def change(first: Any, second: Any) -> Any:
        async def unit(own: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await own.execute(update(LabBook).where(LabBook.id == first).values(price=1))
            if attempts <= 2:
                await both_hold_one.wait()
            await own.execute(update(LabBook).where(LabBook.id == second).values(price=2))

        return unit

    await asyncio.gather(database.run(change(*books)), database.run(change(*books[::-1])))

    assert attempts == 3


async def test_text_and_numbers_that_do_not_fit_are_the_callers_fault(
    session: AsyncSession, shelf: LabShelf
) -> None:
    for values in ({"title": "x" * 51}, {"title": "a\0b"}, {"price": 2**63}):
        book = {"shelf_id": shelf.id, "title": "Book", **values}
        with pytest.raises(DBAPIError) as error:
            await session.execute(sa.insert(LabBook).values(**book))
        await session.rollback()

        assert driver.failure_of(error.value) is Failure.INVALID_VALUE


async def test_a_partial_index_has_some_of_the_rows(session: AsyncSession) -> None:
    index = sa.Index("ix_lab_books_free", LabBook.price, **driver.partial_index("price = 0"))
    try:
        assert str(sa.schema.CreateIndex(index).compile(session.get_bind())).endswith(
            "WHERE price = 0"
        )
    finally:
        LabBook.metadata.tables["lab_books"].indexes.discard(index)


async def test_an_index_is_built_concurrently_however_long_that_waits(
    session: AsyncSession, database: Database, settings: CoreSettings
) -> None:
    """Ended by a lock timeout, it would be an invalid index, and the revision half done."""
    hasty = settings.model_copy(update={"database_migration_lock_timeout_seconds": 0.5})
    engine = create_engine(settings.primary_url, hasty, "migrate")
    session.add(LabShelf(name="not committed"))
    await session.flush()

    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.commit()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        create = "CREATE INDEX CONCURRENTLY ix_lab_concurrent ON lab_shelves (created_at)"
        building = asyncio.create_task(connection.execute(text(create)))
        await asyncio.sleep(1.5)
        waited = not building.done()
        await session.rollback()
        await building
        query = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_lab_concurrent'::regclass"
        valid = await connection.scalar(text(query))
        await connection.execute(text("DROP INDEX ix_lab_concurrent"))
    await engine.dispose()

    assert (waited, valid) == (True, True)
