"""The checks of the routes find what they are for, in an application that is broken on purpose."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.application import create_application
from app.core.database import Database, DatabaseDep, SessionDep, get_session
from app.core.schemas import RequestModel
from app.core.settings import CoreSettings
from tests.core import lab, routes
from tests.core.answers import check_answers
from tests.core.conftest import connect
from tests.core.faults import commits_of, failing_commits, still_open
from tests.core.lab import LabShelf, SampleCreate, SampleName, SampleRepository, ShelfCreate
from tests.core.routes import check_dependencies, excepted, judge, malformed, read_exceptions
from tests.core.rows import Rows
from tests.core.writes import check_commits, check_connections

LateSession = Annotated[AsyncSession, Depends(get_session)]
Build = Callable[[Callable[..., Any], str], FastAPI]


class OddCreate(RequestModel):
    number: Annotated[int, Field(ge=-1000, le=1000)]


async def own_session(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(database.engine) as session:
        yield session


async def write(data: ShelfCreate, session: SessionDep) -> None:
    session.add(LabShelf(name=data.name))


async def write_after_the_answer(data: ShelfCreate, session: LateSession) -> None:
    session.add(LabShelf(name=data.name))


async def insert(data: SampleCreate, session: SessionDep) -> SampleName:
    return await SampleRepository(session).insert(data, SampleName)


async def insert_after_the_answer(data: SampleCreate, session: LateSession) -> SampleName:
    return await SampleRepository(session).insert(data, SampleName)


async def write_nothing(data: ShelfCreate) -> None: ...
async def write_in_a_session_of_its_own(
    data: ShelfCreate, session: Annotated[AsyncSession, Depends(own_session)]
) -> None: ...
def block() -> None: ...


async def break_down(data: OddCreate) -> None:
    if data.number < 0:
        raise RuntimeError("A number below zero.")


async def refuse(data: OddCreate) -> None:
    raise HTTPException(418)


async def accept_anything(data: dict[str, Any] | None = None) -> None: ...


async def accept(data: OddCreate) -> None: ...


@pytest.fixture
def build(app: FastAPI, database: Database) -> Build:
    """An application with one endpoint, on the database of the tests."""

    def build(endpoint: Callable[..., Any], method: str = "POST") -> FastAPI:
        router = APIRouter()
        router.add_api_route("/lab", endpoint, methods=[method])
        broken = create_application(router, CoreSettings())
        broken.state.database = app.state.database
        broken.state.readiness = app.state.readiness
        return broken

    return build


@pytest.fixture
def rows(test_engine: AsyncEngine) -> Rows:
    return Rows(test_engine, [lab.METADATA])


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (write, None),
        (insert, None),
        (write_after_the_answer, "answered 200 although its commit failed"),
        (insert_after_the_answer, "answered 200 although its commit failed"),
        (write_nothing, "No generated request has reached a commit"),
    ],
)
async def test_an_answer_before_the_commit_is_found(
    build: Build, rows: Rows, endpoint: Callable[..., Any], message: str | None
) -> None:
    app = build(endpoint, "POST")
    async with connect(app) as client:
        found = await check_commits(app, client, rows)

    assert [each.route for each in found] == (["POST /lab"] if message else [])
    assert all(str(message) in each.message for each in found)


@pytest.mark.parametrize(
    ("endpoint", "data", "way"),
    [(write, {"name": "one"}, "SQLAlchemy"), (insert, {"name": "one"}, "driver")],
)
async def test_commits_fail_in_both_ways_in_which_the_core_commits(
    build: Build, session: AsyncSession, endpoint: Callable[..., Any], data: Any, way: str
) -> None:
    async with connect(build(endpoint, "POST")) as client:
        with failing_commits(), commits_of() as tried:
            response = await client.post("/lab", json=data)
        again = await client.post("/lab", json=data)

    assert (tried, response.is_server_error) == ([way], True)
    assert again.status_code == 200, "the first one has stored nothing"


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (accept, None),
        (break_down, "Server error"),
        (refuse, "Undocumented status code"),
        (accept_anything, None),
    ],
)
async def test_an_answer_that_is_not_documented_is_found(
    build: Build, endpoint: Callable[..., Any], message: str | None
) -> None:
    app = build(endpoint, "POST")
    async with connect(app) as client:
        found = await check_answers(app, client)

    assert {each.route for each in found} == ({"POST /lab"} if message else set()), found
    assert message is None or any(message in each.message for each in found), found


async def test_a_method_that_allow_does_not_list_is_found(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build(accept, "POST")
    monkeypatch.setattr("app.core.responses.allowed_methods", lambda _: {"GET"})
    async with connect(app) as client:
        found = await check_answers(app, client)

    assert "DELETE /lab" in {each.route for each in found}
    assert "not 405 with Allow: POST" in found[0].message


async def test_a_connection_that_is_not_given_back_is_found(
    build: Build, rows: Rows, database: Database
) -> None:
    kept: list[Any] = []

    async def keep(database: DatabaseDep) -> None:
        if not kept:
            kept.append(await database.read_engine.connect())

    app = build(keep, "GET")
    async with connect(app) as client:
        found = await check_connections(app, client, rows, partial(still_open, database, 0.1))
    await kept[0].close()

    assert "GET /lab" in {each.route for each in found}
    assert "leaves a connection checked out" in found[0].message


async def test_a_transaction_that_is_open_in_the_pool_is_found(database: Database) -> None:
    assert await still_open(database) == ""

    async with database.engine.connect() as connection:
        await connection.execute(lab.table_of(LabShelf).insert().values(name="open"))
        raw = await connection.get_raw_connection()
        raw.info["is_clean"] = True  # it is not
        raw_connection: Any = connection.sync_connection
        raw_connection._transaction = None

    assert await still_open(database) == "a transaction open in the pool"
    await database.engine.dispose()


@pytest.mark.parametrize(
    ("endpoint", "method", "message"),
    [
        (write, "POST", None),
        (write, "GET", "Use ReadSessionDep"),
        (write_after_the_answer, "POST", "ends after the response was sent"),
        (write_in_a_session_of_its_own, "POST", "own_session makes a session of its own"),
        (block, "GET", "block is not `async def`"),
    ],
)
async def test_a_dependency_that_breaks_a_promise_is_found(
    build: Build, endpoint: Callable[..., Any], method: str, message: str | None
) -> None:
    found = check_dependencies(build(endpoint, method).routes)

    assert [each.route for each in found] == ([f"{method} /lab"] if message else [])
    assert all(str(message) in each.message for each in found)


FOUND = [routes.Finding("POST /mails", "It wrote nothing.")]


def test_what_is_found_fails_unless_a_line_excepts_it() -> None:
    judge("commit", FOUND, ["commit  POST /mails  It sends a mail."])

    with pytest.raises(pytest.fail.Exception, match="POST /mails: It wrote nothing"):
        judge("commit", FOUND, ["answer  POST /mails  It sends a mail."])


def test_an_exception_that_nothing_needs_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="`commit POST /other` is not needed"):
        judge("commit", FOUND, ["commit POST /mails why", "commit POST /other why"])


def test_an_exception_needs_a_reason_and_a_known_check() -> None:
    lines = ["commit  POST /mails", "comit  POST /mails  why", "commit  POST /mails  why"]

    assert malformed(lines) == lines[:2]
    assert excepted("commit", lines) == {"POST /mails"}


def test_an_older_project_without_the_file_has_no_exceptions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(routes, "FILE", tmp_path / "routes.txt")
    assert read_exceptions() == []

    routes.FILE.write_text("# a comment\n\ncommit  POST /mails  why\n")
    assert read_exceptions() == ["commit  POST /mails  why"]
