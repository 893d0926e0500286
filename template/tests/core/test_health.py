import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import health
from app.core.application import create_application
from app.core.database import Database
from app.core.engine import create_engine
from app.core.health import Readiness, read_revision, read_revisions
from app.core.settings import CoreSettings
from app.core.shutdown import delayed_shutdown
from tests.core import lab
from tests.core.conftest import ReadLog
from tests.core.server import create_database, drop_database


async def test_a_migrated_service_is_ready(client: AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}
    assert (await client.get("/health/ready")).json() == {"status": "ok"}


@pytest.fixture
async def empty(database: Database, settings: CoreSettings) -> Any:
    """The settings for a database without tables."""
    url = settings.primary_url.set(database=f"{settings.primary_url.database}_empty")
    await create_database(url)
    yield CoreSettings(database_url=url.render_as_string(hide_password=False))  # type: ignore[arg-type]
    await drop_database(url)


async def test_a_database_that_was_not_migrated_is_reported(
    empty: CoreSettings, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(empty)
    readiness = Readiness(database.health_engine, timeout=2)
    readiness.known, readiness.newest = {"a", "b"}, {"b"}

    with caplog.at_level(logging.ERROR):
        await readiness.report()
    await database.dispose()

    assert "at revision none, the service needs b. Run: uv run app db upgrade" in caplog.text


async def test_the_line_of_the_request_says_why_the_service_is_not_ready(
    client: AsyncClient, lab_app: FastAPI, monkeypatch: pytest.MonkeyPatch, read_log: ReadLog
) -> None:
    monkeypatch.setattr(lab_app.state.readiness, "known", {"a"})
    monkeypatch.setattr(lab_app.state.readiness, "newest", {"a"})
    monkeypatch.setattr(health, "read_revision", no_revision)
    read_log()

    response = await client.get("/health/ready")

    (line,) = read_log()
    assert response.status_code == 503
    assert line["reason"].startswith("The database is at revision none, the service needs a.")
    assert "revision" not in response.text


async def no_revision(_: AsyncEngine) -> set[str]:
    return set()


async def test_a_newer_database_is_ready(database: Database) -> None:
    readiness = Readiness(database.health_engine, timeout=2)
    readiness.known, readiness.newest = {"older"}, {"older"}
    found = await read_revision(database.health_engine)

    assert (await readiness.check() is None) == bool(found)


async def test_a_database_that_cannot_be_reached_is_reported(
    caplog: pytest.LogCaptureFixture, settings: CoreSettings
) -> None:
    nowhere = settings.primary_url.set(port=1) if settings.primary_url.host else None
    url = nowhere or settings.primary_url.set(database="/nowhere/at/all")
    unreachable = CoreSettings(
        database_url=url.render_as_string(hide_password=False)  # type: ignore[arg-type]
    )
    lab_app = create_application(lab.router, unreachable)
    with caplog.at_level(logging.ERROR):
        async with lab_app.router.lifespan_context(lab_app):
            reason = await lab_app.state.readiness.check()
            await asyncio.sleep(0)

    assert "The database cannot be reached" in str(reason)
    assert "DATABASE_URL" in caplog.text


async def test_whatever_goes_wrong_is_reported(database: Database, settings: CoreSettings) -> None:
    engine = create_engine(
        settings.primary_url, settings, "read", connect_args={"no_such_option": 1}
    )

    reason = await Readiness(engine, timeout=2).check()
    await engine.dispose()

    assert "TypeError" in str(reason)
    assert "no_such_option" in str(reason)


async def test_a_silent_database_does_not_hold_the_check_up(database: Database) -> None:
    readiness = Readiness(database.health_engine, timeout=0.05)

    async def wait() -> str | None:
        await asyncio.sleep(0.5)
        return None

    readiness.pending = asyncio.create_task(wait())

    assert "silent" in str(await readiness.check())
    await readiness.close()


async def test_a_check_that_is_ended_returns_its_connection(database: Database) -> None:
    pool: Any = database.health_engine.pool
    readiness = Readiness(database.health_engine, timeout=2)
    for moment in range(20):
        await readiness.check()
        check = asyncio.create_task(readiness.check())
        await asyncio.sleep(moment / 4000)

        await readiness.close()

        assert pool.checkedout() == 0
        await asyncio.wait({check})


async def test_one_question_answers_all_who_ask_at_the_same_time(database: Database) -> None:
    readiness = Readiness(database.health_engine, timeout=2)
    asked = 0
    ask = readiness._ask

    async def count() -> str | None:
        nonlocal asked
        asked += 1
        return await ask()

    readiness._ask = count  # type: ignore[method-assign]
    await asyncio.gather(*(readiness.check() for _ in range(10)))

    assert asked == 1


def test_revisions_are_read_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('revision = "a"\ndown_revision = None\n')
    (tmp_path / "b.py").write_text('revision: str = "b"\ndown_revision: str | None = "a"\n')
    (tmp_path / "c.py").write_text('revision: str = "c"\ndown_revision = "a"\n')
    (tmp_path / "d.py").write_text('revision = "d"\ndown_revision = ("b", "c")\n')

    assert read_revisions(tmp_path) == ({"a", "b", "c", "d"}, {"d"})


async def test_a_service_that_shuts_down_is_not_ready_and_serves_for_a_while(
    lab_app: FastAPI, client: AsyncClient
) -> None:
    readiness, ended = lab_app.state.readiness, asyncio.Event()
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(ended.set))
    try:
        with delayed_shutdown(readiness, seconds=0.5):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.1)

            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.get("/lab/shelves")).status_code == 200
            assert not ended.is_set()
            async with asyncio.timeout(10):
                await ended.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        readiness.is_shutting_down = False


async def test_a_second_signal_shuts_down_at_once(lab_app: FastAPI) -> None:
    readiness, signals = lab_app.state.readiness, list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    try:
        with delayed_shutdown(readiness, seconds=3600):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.1)

            assert signals == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
        readiness.is_shutting_down = False
