"""The tables and the application of `lab.py`, for the tests in this folder."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.requests import Request
from starlette.types import Message

from app.core.application import create_application
from app.core.database import Database
from app.core.engine import create_engine
from app.core.logs import configure_logs
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.server import create_database, drop_database

ReadLog = Callable[[], list[dict[str, Any]]]
LabApp = Callable[..., AbstractAsyncContextManager[tuple[AsyncClient, Database]]]
LabServer = Callable[..., AbstractAsyncContextManager[tuple[int, Database]]]


@pytest.fixture(scope="session")
async def lab_tables(sweeper: AsyncEngine, swept: list[MetaData]) -> None:
    """Made by SQLAlchemy itself, which is fine for throw-away databases."""
    async with sweeper.begin() as connection:
        await connection.run_sync(lab.METADATA.create_all)
    swept.append(lab.METADATA)


@pytest.fixture
async def database(lab_tables: None, database: Database) -> Database:
    return database


def create_lab(**changes: Any) -> FastAPI:
    lab_app = create_application(lab.router, CoreSettings(**changes))
    lab_app.state.idempotency_model = lab.LabIdempotencyKey
    return lab_app


@pytest.fixture(scope="session")
def lab_app(app: FastAPI) -> FastAPI:
    """The endpoints of `lab.py`, on the application's database."""
    lab_app = create_lab()
    lab_app.state.database = app.state.database
    lab_app.state.readiness = app.state.readiness
    return lab_app


@asynccontextmanager
async def connect(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client that gets a 500 as a caller does, and not as an exception."""
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def client(lab_app: FastAPI, database: Database) -> AsyncIterator[AsyncClient]:
    async with connect(lab_app) as client:
        yield client


def request_of(*chunks: bytes) -> Request:
    """A request whose body arrives in these chunks."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    arriving = iter(messages)

    async def receive() -> Message:
        return next(arriving)

    return Request({"type": "http"}, receive)


@asynccontextmanager
async def other_settings(**changes: Any) -> AsyncIterator[tuple[AsyncClient, Database]]:
    """A client of the same endpoints in an application with other settings, and its database."""
    lab_app = create_lab(**changes)
    async with lab_app.router.lifespan_context(lab_app), connect(lab_app) as client:
        yield client, lab_app.state.database


@pytest.fixture
def client_with(database: Database) -> LabApp:
    """`async with client_with(database_pool_size=1) as (client, database): …`"""
    return other_settings


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that only others bring about, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


@asynccontextmanager
async def other_server(**changes: Any) -> AsyncIterator[tuple[int, Database]]:
    lab_app = create_lab(**changes)
    listener = socket.create_server(("127.0.0.1", 0))
    # What a client does not read waits in the application, and not in the system's large buffers.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    server = uvicorn.Server(uvicorn.Config(lab_app, log_config=None, ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield listener.getsockname()[1], lab_app.state.database
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
def server_with(database: Database) -> LabServer:
    """`async with server_with(log_level="ERROR") as (port, database): …`, for real sockets."""
    return other_server


@pytest.fixture
def read_log(capsys: pytest.CaptureFixture[str]) -> ReadLog:
    """`read_log()` returns the lines since its last call; the first call starts the log."""
    started = False

    def read() -> list[dict[str, Any]]:
        nonlocal started
        logged = capsys.readouterr().err.splitlines()
        if not started:
            configure_logs(level="INFO", json=True)
            started, logged = True, []
        lines = [json.loads(line) for line in logged]
        return [line for line in lines if line["logger"] != "httpx"]  # the test's own requests

    return read


@pytest.fixture
async def shelf(session: AsyncSession) -> lab.LabShelf:
    """A shelf with three books."""
    books = [lab.LabBook(title=f"Book {number}", price=number) for number in range(3)]
    shelf = lab.LabShelf(name="The shelf", books=books)
    session.add(shelf)
    await session.commit()
    session.expunge_all()
    return shelf


@pytest.fixture
async def other(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncEngine]:
    """An empty database of its own, which the migrations find by the environment."""
    url = settings.primary_url.set(database=f"{settings.primary_url.database}_migrations")
    await drop_database(url)
    await create_database(url)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    engine = create_engine(url, settings, "migrate")
    yield engine
    await engine.dispose()
    await drop_database(url)
