"""Requests to a service whose database was not migrated, or not yet."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from app.core.application import create_application
from app.core.database import Database
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import ReadLog, connect
from tests.core.server import create_database, drop_database


@pytest.fixture
async def outdated(database: Database, settings: CoreSettings) -> AsyncIterator[FastAPI]:
    """The endpoints of `lab.py` on a database without tables. The code has one revision."""
    url = settings.primary_url.set(database=f"{settings.primary_url.database}_outdated")
    await create_database(url)
    address = url.render_as_string(hide_password=False)
    app = create_application(lab.router, CoreSettings(database_url=address))  # type: ignore[arg-type]
    async with app.router.lifespan_context(app):
        await app.state.readiness.check()  # the start asks, too: let it have its answer
        app.state.readiness.known = app.state.readiness.newest = {"a1b2"}
        yield app
    await drop_database(url)


@pytest.fixture
async def client(outdated: FastAPI) -> AsyncIterator[AsyncClient]:
    async with connect(outdated) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_table_that_is_not_there_yet_is_one_line_that_says_what_to_run(
    client: AsyncClient, read_log: ReadLog, method: str
) -> None:
    read_log()

    response = await client.request(method, "/lab/shelves", json={"name": "one"})

    (line,) = read_log()
    assert response.status_code == 503
    assert response.json()["detail"] == "The database does not have the newest tables yet."
    assert "exception" not in line
    assert line["error"] == "OUTDATED"
    assert line["reason"] == (
        "The database is at revision none, the service needs a1b2. Run: uv run app db upgrade"
    )


async def test_a_column_that_is_not_there_yet_is_a_503_too(
    outdated: FastAPI, client: AsyncClient
) -> None:
    async with outdated.state.database.transaction() as session:
        await session.execute(text("CREATE TABLE lab_shelves (id CHAR(36))"))

    response = await client.post("/lab/shelves", json={"name": "one"})

    assert response.status_code == 503


async def test_a_table_that_no_revision_makes_is_a_bug(
    outdated: FastAPI, client: AsyncClient, read_log: ReadLog
) -> None:
    outdated.state.readiness.newest = set()  # which is where the database is
    read_log()

    response = await client.get("/lab/shelves")

    (line,) = read_log()
    assert response.status_code == 500
    assert "lab_shelves" in line["exception"]


async def test_a_service_that_shuts_down_still_says_what_its_database_lacks(
    outdated: FastAPI, client: AsyncClient
) -> None:
    outdated.state.readiness.is_shutting_down = True

    response = await client.get("/lab/shelves")

    assert response.json()["detail"] == "The database does not have the newest tables yet."
