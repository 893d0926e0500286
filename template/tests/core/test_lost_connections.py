"""Connections that are lost while queries without records use them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.database import Database, ReadSession
from app.core.failures import Failure
from app.core.reads import read_all
from app.core.settings import CoreSettings
from tests.conftest import checked_out
from tests.core.conftest import LabApp
from tests.core.lab import LabSample, LabShelf, SampleCreate, SampleName, SampleRepository

ALL_SAMPLES = select(LabSample).order_by(LabSample.id)


def lose(connection: Any) -> None:
    """Close a connection of the driver, unnoticed by the pool."""
    if hasattr(connection, "terminate"):
        connection.terminate()
    else:
        connection._writer.transport.abort()


async def lose_connections(database: Database) -> None:
    async with database.read_engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        lose(raw)
        await asyncio.sleep(0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_was_lost_is_replaced(client_with: LabApp, shelf: LabShelf) -> None:
    async with client_with(database_pool_size=1, database_max_overflow=0) as (client, database):
        for _ in range(3):
            lost = await client.get("/lab/samples", params={"name": "x"})
            await lose_connections(database)
            lost = await client.get("/lab/samples", params={"name": "x"})
            again = await client.get("/lab/samples", params={"name": "x"})

            assert lost.status_code in {200, 503}
            assert (again.status_code, again.json()) == (200, [])
            pool: Any = database.read_engine.pool  # the readiness check has its own
            assert pool.checkedout() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_is_lost_within_a_session_is_an_error_of_the_database(
    database: Database, shelf: LabShelf
) -> None:
    await database.fetch(lambda own: read_all(own, ALL_SAMPLES, SampleName))

    async def lose_within(reading: ReadSession) -> None:
        await read_all(reading, ALL_SAMPLES, SampleName)
        assert reading.checked_out is not None
        lose(reading.checked_out.driver_connection)
        await asyncio.sleep(0.05)
        await read_all(reading, ALL_SAMPLES, SampleName)

    with pytest.raises(DBAPIError) as error:
        await database.fetch(lose_within)

    assert driver.failure_of(error.value) is Failure.UNAVAILABLE
    assert checked_out(database) == 0
    assert await database.fetch(lambda own: read_all(own, ALL_SAMPLES, SampleName)) == []


async def test_a_connection_that_is_lost_at_once_is_an_error_of_the_database(
    settings: CoreSettings, shelf: LabShelf
) -> None:
    """Another task may take the one that was made for this one, and connecting again may fail."""
    database = Database(settings)
    engine: Any = database.read_engine.sync_engine

    def lose_it(_: Any, record: Any) -> None:
        record.invalidate()
        engine.pool._invoke_creator = refuse

    def refuse(*_: Any) -> None:
        raise engine.dialect.loaded_dbapi.OperationalError("refused", OSError())

    event.listen(engine, "checkin", lose_it)
    with pytest.raises(DBAPIError, match="refused"):
        await database.fetch(lambda own: read_all(own, ALL_SAMPLES, SampleName))

    assert checked_out(database) == 0
    await database.dispose()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("goes_on", ["insert", "record", "commit"])
async def test_nothing_is_committed_after_the_connection_was_lost_in_a_transaction(
    database: Database, session: AsyncSession, goes_on: str
) -> None:
    async def work() -> None:
        async with database.transaction() as own:
            samples = SampleRepository(own)
            await samples.insert(SampleCreate(name="lost"), SampleName)
            lose(own.checked_out.driver_connection)  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
            with pytest.raises(DBAPIError) as error:
                await samples.insert(SampleCreate(name="not sent"), SampleName)
            assert driver.failure_of(error.value) is Failure.UNAVAILABLE
            if goes_on == "insert":
                await samples.insert(SampleCreate(name="after"), SampleName)
            elif goes_on == "record":
                await samples.add(LabSample(name="after"))

    with pytest.raises(PendingRollbackError):
        await work()

    assert list(await session.scalars(select(LabSample.name))) == []
    assert checked_out(database) == 0
    async with database.transaction() as own:
        await SampleRepository(own).insert(SampleCreate(name="again"), SampleName)
    assert list(await session.scalars(select(LabSample.name))) == ["Again"]
