"""A database for each worker, the real application on it, and empty tables after each test.

Without TEST_DATABASE_URL, the URL of a server on which databases may be made and dropped, the
tests start one of their own: `tests/core/server.py`. They never see the database in `.env`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import compress
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from dotenv import dotenv_values
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import Connection, MetaData, event, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.core import direct
from app.core.database import Database
from app.core.engine import create_engine
from app.core.models import Base
from app.core.settings import CoreSettings
from tests.core.server import (
    SWEEP_PREAMBLE,
    ServerNotFoundError,
    create_database,
    drop_database,
    running_server,
    watch,
)
from tests.recording import record
from tests.statements import MeteredTransport, check_budgets, note_round_trip

CoreSettings.model_config["env_file"] = None
# Values of the service's own settings for the tests. Older projects do not have the file.
SETTINGS_FILE = Path(__file__).with_name("settings.env")

# Settings of the machine that the tests do not take over.
OF_A_DEPLOYMENT = ("ENVIRONMENT", "ALLOWED_HOSTS", "DATABASE_MIGRATION_URL", "DOCS_ENABLED")

server = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before anything imports `app.main`, which reads the settings."""
    for name in OF_A_DEPLOYMENT:
        os.environ.pop(name, None)
    for name, value in dotenv_values(SETTINGS_FILE).items():
        os.environ.setdefault(name, value or "")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if "TEST_DATABASE_URL" not in os.environ:  # workers find what the controller has set
        try:
            url = server.enter_context(running_server())
        except ServerNotFoundError as error:
            raise pytest.UsageError(str(error)) from None
        os.environ["TEST_DATABASE_URL"] = url.render_as_string(hide_password=False)
    url = make_url(os.environ["TEST_DATABASE_URL"])
    url = url.set(database=f"{url.database or 'test'}_{worker}")
    os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
    # A ping is a round trip, at a time that nobody can foresee.
    os.environ.setdefault("DATABASE_PING_AFTER_IDLE_SECONDS", "3600")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Start no workers for a file or a domain: to start them would take longer than the tests."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS or len(config.args) != 1:
        return None
    path = Path(config.args[0].partition("::")[0])
    return 0 if path.is_file() or path.resolve().parent.name == "domains" else None


def pytest_unconfigure(config: pytest.Config) -> None:
    server.close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def settings() -> CoreSettings:
    return CoreSettings()


@pytest.fixture(scope="session")
async def migrated(settings: CoreSettings) -> AsyncIterator[None]:
    """The worker's database with the tables that the migrations make."""
    await drop_database(settings.primary_url)
    await create_database(settings.primary_url)
    await asyncio.to_thread(command.upgrade, Config(toml_file="pyproject.toml"), "head")
    yield
    await drop_database(settings.primary_url)


@pytest.fixture(scope="session")
async def app(migrated: None) -> AsyncIterator[FastAPI]:
    """The application, started as a server starts it."""
    from app.main import app  # noqa: PLC0415 - after the settings were made

    async with app.router.lifespan_context(app):
        for engine in app.state.database.engines:
            watch(engine, note_round_trip)
        record(app.state.database.engines)
        await app.state.readiness.check()  # the start asks, too: let it have its answer
        yield app


@pytest.fixture(scope="session")
def swept() -> list[MetaData]:
    """The tables that are emptied after each test."""
    return [Base.metadata]


@pytest.fixture(scope="session")
async def sweeper(migrated: None, settings: CoreSettings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        settings.primary_url, settings, "migrate", poolclass=AsyncAdaptedQueuePool, pool_size=1
    )
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def test_engine(migrated: None, settings: CoreSettings) -> AsyncIterator[AsyncEngine]:
    """For the tests' own sessions, which wait for no lock before they write."""
    engine = create_engine(settings.primary_url, settings, "write")
    yield engine.execution_options(begin="BEGIN")
    await engine.dispose()


@pytest.fixture
async def database(
    app: FastAPI, sweeper: AsyncEngine, swept: list[MetaData]
) -> AsyncIterator[Database]:
    """The application's database. After the test all connections are back, and all tables empty."""
    database: Database = app.state.database
    yield database
    leaked = checked_out(database)
    await _empty_tables(sweeper, swept)
    assert leaked == 0, "a connection was not given back"


async def _empty_tables(sweeper: AsyncEngine, swept: list[MetaData]) -> None:
    """Ask all tables at once for rows, and empty those that have some: few have any."""
    tables = [table for metadata in swept for table in reversed(metadata.sorted_tables)]
    if not tables:
        return
    questions = [select(text("1")).select_from(table).exists() for table in tables]
    async with sweeper.begin() as connection:
        answers = (await connection.execute(select(*questions))).one()
        if any(answers):
            for statement in SWEEP_PREAMBLE:
                await connection.execute(text(statement))
        for table in compress(tables, answers):
            await connection.execute(table.delete())


def checked_out(database: Database) -> int:
    """How many of the application's connections are in use."""
    pools: list[Any] = [engine.pool for engine in database.engines]
    return sum(pool.checkedout() for pool in pools)


@pytest.fixture
async def session(database: Database, test_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """To arrange what a test needs, and commit it, and to look at what the test did."""
    async with AsyncSession(test_engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
async def client(app: FastAPI, database: Database) -> AsyncIterator[AsyncClient]:
    """Each route has a budget of statements and round trips: `tests/statements.txt`."""
    transport = MeteredTransport(app)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    check_budgets(transport.lines)


CountStatements = Callable[[], Any]


@pytest.fixture
def count_statements(database: Database) -> CountStatements:
    """`async with count_statements() as count: …` lists the SQL: `assert len(count) == 2`."""

    @asynccontextmanager
    async def count() -> AsyncIterator[list[str]]:
        statements: list[str] = []

        def note(_: Connection, __: Any, statement: str, *___: Any) -> None:
            if not statement.startswith("BEGIN"):
                statements.append(statement)

        direct.listeners.append(statements.append)
        engines = (database.engine, database.read_engine, database.stream_engine)
        for engine in engines:
            event.listen(engine.sync_engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            direct.listeners.remove(statements.append)
            for engine in engines:
                event.remove(engine.sync_engine, "before_cursor_execute", note)

    return count
