"""Connections that are lost while queries without records use them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from app.core import driver
from app.core.database import Database, ReadSession
from app.core.failures import Failure
from app.core.reads import read_all
from tests.conftest import checked_out
from tests.core.conftest import LabApp
from tests.core.lab import LabSample, LabShelf, SampleName

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
            assert checked_out(database) == 0


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
