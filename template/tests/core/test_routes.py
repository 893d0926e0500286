"""The promises that every route of the application keeps, also those of your domains.

What is intended is excepted by a line in `tests/routes.txt`.
"""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.database import Database
from app.core.models import Base
from tests.core.answers import check_answers
from tests.core.conftest import connect
from tests.core.faults import still_open
from tests.core.routes import check_dependencies, judge, malformed, read_exceptions
from tests.core.rows import Rows
from tests.core.writes import check_commits, check_connections


@pytest.fixture
async def client(app: FastAPI, database: Database) -> AsyncIterator[AsyncClient]:
    async with connect(app) as client:
        yield client


async def test_every_route_answers_as_it_documents(app: FastAPI, client: AsyncClient) -> None:
    judge("answer", await check_answers(app, client))


async def test_the_dependencies_of_every_route_are_asynchronous_and_take_the_cores_sessions(
    app: FastAPI,
) -> None:
    judge("dependency", check_dependencies(app.routes))


def test_every_exception_has_a_reason() -> None:
    wrong = malformed(read_exceptions())

    assert not wrong, f"tests/routes.txt: a line is `check  METHOD /path  reason`, not {wrong}"


async def test_no_route_answers_that_it_wrote_before_the_commit(
    app: FastAPI, client: AsyncClient, test_engine: AsyncEngine
) -> None:
    judge("commit", await check_commits(app, client, Rows(test_engine, [Base.metadata])))


async def test_every_route_gives_its_connection_back_even_if_it_is_cancelled(
    app: FastAPI, client: AsyncClient, database: Database, test_engine: AsyncEngine
) -> None:
    rows = Rows(test_engine, [Base.metadata])

    judge("connection", await check_connections(app, client, rows, partial(still_open, database)))
