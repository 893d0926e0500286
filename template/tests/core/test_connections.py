import asyncio
import gc
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.connections import check_in, check_out
from app.core.database import Database
from app.core.engine import create_engine
from app.core.reads import read_all
from app.core.settings import CoreSettings
from tests.conftest import checked_out
from tests.core.lab import LabShelf, ShelfRead
from tests.core.server import watch

ALL_SHELVES = select(LabShelf).order_by(LabShelf.id)


def count_pings(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that has each connection that is pinged from now on."""
    pinged: list[Any] = []
    ping = engine.dialect.do_ping

    def count(connection: Any) -> bool:
        pinged.append(connection)
        return ping(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", count)
    return pinged


@pytest.mark.usefixtures("migrated")
async def test_a_new_connection_has_nothing_to_roll_back(settings: CoreSettings) -> None:
    """Nobody could cancel that, and a server that does not answer would be waited for."""
    engine = create_engine(settings.primary_url, settings, "write")
    async with engine.connect():
        pass  # SQLAlchemy asks the first connection for the version
    await engine.dispose()
    noted: list[str] = []
    watch(engine, noted.append)

    check_in(await check_out(engine), engine)
    await engine.dispose()

    assert noted == []


async def test_a_connection_that_was_idle_is_tested_before_use(
    database: Database, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = Database(settings.model_copy(update={"database_ping_after_idle_seconds": 0}))
    pings = count_pings(careful.engine, monkeypatch)
    for _ in range(2):
        async with careful.transaction() as session:
            await session.execute(select(1))
    await careful.dispose()

    assert len(pings) == 1


async def test_a_connection_is_tested_before_a_reading_without_records_too(
    database: Database, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = Database(settings.model_copy(update={"database_ping_after_idle_seconds": 0}))
    pings = count_pings(careful.read_engine, monkeypatch)
    try:
        for _ in range(3):
            async with asyncio.timeout(5), careful.read() as session:
                assert await read_all(session, ALL_SHELVES, ShelfRead) == []
        assert checked_out(careful) == 0
    finally:
        await careful.dispose()

    assert len(pings) >= 1


async def test_many_sessions_at_once_have_a_connection_each(
    database: Database, settings: CoreSettings
) -> None:
    changes = {"database_pool_size": 2, "database_max_overflow": 1}
    small = Database(settings.model_copy(update=changes))

    async def read(_: int) -> int:
        async with small.read() as session:
            return len(await read_all(session, ALL_SHELVES, ShelfRead))

    assert set(await asyncio.gather(*map(read, range(30)))) == {0}
    assert checked_out(small) == 0
    await small.dispose()
    gc.collect()  # warns of a connection that was not closed


def most_connections(*engines: AsyncEngine) -> int:
    pools: list[Any] = [engine.pool for engine in engines]
    return sum(pool.size() + max(0, pool._max_overflow) for pool in pools)


@pytest.mark.parametrize(
    ("replica", "besides_writing"), [(False, 6 + 3 + 1), (True, 6 + 6 + 3 + 2)]
)
async def test_a_process_has_no_more_connections_than_the_documents_say(
    settings: CoreSettings, replica: bool, besides_writing: int
) -> None:
    changes = {
        "database_pool_size": 4,
        "database_max_overflow": 2,
        "database_stream_pool_size": 3,
        "database_replica_url": settings.database_url if replica else None,
    }
    database = Database(settings.model_copy(update=changes))
    writing = most_connections(database.engine)
    await database.dispose()

    assert writing <= 6
    assert most_connections(*database.engines) == writing + besides_writing
