from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from httpx import AsyncClient
from sqlalchemy import select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import application
from app.core.application import create_application
from app.core.commands import command_line
from app.core.database import Database, DatabaseDep, SessionDep
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import connect

ORIGIN = "https://app.example.com"


async def is_open(app: FastAPI) -> bool:
    await app.state.readiness.check()  # the start asks, too: let it have its answer
    async with app.state.database.read() as session:
        return bool(await session.scalar(text("SELECT 1")) == 1)


async def test_the_database_is_open_from_the_services_startup_to_its_shutdown(
    database: Database,
) -> None:
    seen = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        seen.append(("startup", await is_open(app)))
        yield
        seen.append(("shutdown", await is_open(app)))
        assert idle_connections(app) == 1

    app = create_application(lab.router, CoreSettings(), lifespan=lifespan)
    async with app.router.lifespan_context(app):
        assert seen == [("startup", True)]

    assert seen == [("startup", True), ("shutdown", True)]
    assert idle_connections(app) == 0


async def test_a_startup_that_fails_closes_the_database(database: Database) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert await is_open(app)
        assert idle_connections(app) == 1
        raise LookupError("the service's own reason")
        yield

    app = create_application(lab.router, CoreSettings(), lifespan=lifespan)
    with pytest.raises(LookupError, match="the service's own reason"):
        async with app.router.lifespan_context(app):
            pass

    assert idle_connections(app) == 0


async def test_what_the_lifespan_yields_is_the_state_of_each_request(database: Database) -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, int]]:
        yield {"answer": 42}

    app = create_application(lab.router, CoreSettings(), lifespan=lifespan)
    async with app.router.lifespan_context(app) as state:
        assert state == {"answer": 42}
        assert await is_open(app)


async def test_work_after_a_response_needs_a_session_of_its_own(
    database: Database, session: AsyncSession
) -> None:
    async def use(closed: AsyncSession) -> None:
        with pytest.raises(InvalidRequestError, match="closed"):
            await closed.scalar(text("SELECT 1"))

    async def store_shelf(database: Database) -> None:
        async with database.transaction() as own:
            own.add(lab.LabShelf(name="The shelf"))

    router = APIRouter()

    @router.post("/work", status_code=202)
    async def begin(tasks: BackgroundTasks, session: SessionDep, database: DatabaseDep) -> None:
        tasks.add_task(use, session)
        tasks.add_task(store_shelf, database)

    app = create_application(router, CoreSettings())
    async with app.router.lifespan_context(app), connect(app) as client:
        assert (await client.post("/work")).status_code == 202

    assert await session.scalar(select(lab.LabShelf.name)) == "The shelf"


@pytest.mark.parametrize(
    "start",
    [
        lambda: create_application(lab.router, CoreSettings()),
        lambda: command_line(["db", "upgrade"]),
    ],
)
def test_a_service_that_was_installed_without_its_folder_says_so_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: Callable[[], object]
) -> None:
    monkeypatch.setattr(application, "PYPROJECT", tmp_path / "pyproject.toml")

    with pytest.raises(SystemExit, match=r"^The service runs in its folder only, .*editable"):
        start()


def idle_connections(app: FastAPI) -> int:
    pool: Any = app.state.database.read_engine.pool
    idle: int = pool.checkedin()
    return idle


@pytest.fixture
async def cross_origin(database: Database) -> AsyncIterator[AsyncClient]:
    """A browser on another origin, which the service allows as docs/operations.md shows."""
    app = create_application(lab.router, CoreSettings())
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[ORIGIN],
        allow_methods=["POST"],
        expose_headers=["X-Request-ID"],
    )
    async with app.router.lifespan_context(app), connect(app) as client:
        client.headers["Origin"] = ORIGIN
        yield client


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/lab/shelves", {"name": "The shelf"}, 201),
        ("/lab/refused", {"name": "The shelf"}, 409),
        ("/lab/shelves", {}, 422),
        ("/lab/nowhere", {}, 404),
        ("/lab/broken", {"name": "The shelf"}, 500),
    ],
)
async def test_a_browser_on_an_allowed_origin_can_read_each_response_and_its_id(
    cross_origin: AsyncClient, path: str, body: dict[str, str], status: int
) -> None:
    response = await cross_origin.post(path, json=body)

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-expose-headers"] == "X-Request-ID"
    assert len(response.headers.get_list("x-request-id")) == 1


async def test_a_browser_may_ask_first(cross_origin: AsyncClient) -> None:
    asked = await cross_origin.options(
        "/lab/shelves", headers={"Access-Control-Request-Method": "POST"}
    )

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
