import asyncio
import importlib
import sys
from typing import Any

import pytest
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import Connection, delete, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message, Receive, Scope, Send

from app.core.database import Database, ReadOnlyError, open_database
from app.core.engine import ConnectionQueue, create_engine
from app.core.errors import UnavailableError
from app.core.settings import CoreSettings
from tests.conftest import checked_out
from tests.core.conftest import LabApp
from tests.core.faults import interrupted
from tests.core.lab import LabShelf, SampleCreate, SampleName, SampleRepository, ShelfRepository


async def names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(LabShelf.name).order_by(LabShelf.id)))


def test_importing_the_application_makes_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("app.core.engine.create_async_engine", made.append)
    main = sys.modules.pop("app.main", None)
    try:
        importlib.import_module("app.main")
    finally:
        if main is not None:
            sys.modules["app.main"] = main

    assert made == []


async def test_a_response_is_sent_after_the_commit(client: AsyncClient, database: Database) -> None:
    order: list[str] = []
    application: Any = client._transport
    inner = application.app

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                order.append("response")
            await send(message)

        await inner(scope, receive, note)

    def note_commit(_: Connection) -> None:
        order.append("commit")

    application.app = watched
    event.listen(database.engine.sync_engine, "commit", note_commit)
    try:
        response = await client.post("/lab/shelves", json={"name": "first"})
    finally:
        event.remove(database.engine.sync_engine, "commit", note_commit)

    assert response.status_code == 201
    assert order == ["commit", "response"]


async def test_a_commit_that_fails_is_never_a_success(
    client: AsyncClient, session: AsyncSession
) -> None:
    assert (await client.post("/lab/unflushed", json={"name": "one"})).status_code == 201

    response = await client.post("/lab/unflushed", json={"name": "one"})

    assert response.status_code == 409
    assert await names(session) == ["one"]


@pytest.mark.parametrize("inserts_first", [False, True])
async def test_a_connection_whose_commit_failed_is_not_used_again(
    database: Database, session: AsyncSession, inserts_first: bool
) -> None:
    async def write(name: str) -> None:
        async with database.transaction() as own:
            if inserts_first:
                await SampleRepository(own).insert(SampleCreate(name=name), SampleName)
            own.add(LabShelf(name=name))

    def fail(statement: str) -> None:
        if statement.startswith("COMMIT"):
            raise RuntimeError("The driver failed.")

    with interrupted(0, fail), pytest.raises(RuntimeError):
        await write("one")
    await write("two")

    assert await names(session) == ["two"]


@pytest.mark.parametrize(("path", "status"), [("/lab/refused", 409), ("/lab/broken", 500)])
async def test_an_error_rolls_back(
    client: AsyncClient, session: AsyncSession, path: str, status: int
) -> None:
    response = await client.post(path, json={"name": "one"})

    assert response.status_code == status
    assert await names(session) == []


async def test_a_write_is_seen_by_the_next_request(client: AsyncClient) -> None:
    for number in range(1, 21):
        await client.post("/lab/shelves", json={"name": f"Shelf {number}"})

        assert (await client.get("/lab/shelves")).json() == number


async def test_a_read_session_refuses_to_write(client: AsyncClient, session: AsyncSession) -> None:
    response = await client.post("/lab/read-only", json={"name": "one"})

    assert response.status_code == 500  # a bug of the endpoint, not of the caller
    assert await names(session) == []


async def test_a_read_session_refuses_at_the_flush(database: Database) -> None:
    async with database.read() as session:
        session.add(LabShelf(name="one"))

        with pytest.raises(ReadOnlyError):
            await session.flush()


@pytest.mark.parametrize(
    "statement",
    [
        insert(LabShelf).values(name="one"),
        update(LabShelf).values(name="one"),
        delete(LabShelf),
    ],
    ids=["insert", "update", "delete"],
)
async def test_a_read_session_refuses_statements_that_write(
    database: Database, statement: Any
) -> None:
    async with database.read() as session:
        with pytest.raises(ReadOnlyError, match="Use SessionDep to write"):
            await session.execute(statement)


async def test_the_database_refuses_sql_that_writes_in_a_read_session(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            await session.execute(text("DELETE FROM lab_shelves"))


async def test_a_transaction_sees_what_it_wrote(database: Database) -> None:
    async with database.transaction() as session:
        session.add(LabShelf(name="one"))

        assert await names(session) == ["one"]  # flushed before the query


async def test_a_record_can_be_read_after_the_commit(database: Database) -> None:
    async with database.transaction() as session:
        shelf = await ShelfRepository(session).add(LabShelf(name="one"))

    assert shelf.name == "one"
    assert shelf.updated_at >= shelf.created_at


async def test_a_session_that_is_closed_cannot_be_used_again(database: Database) -> None:
    async with database.read() as session:
        pass

    with pytest.raises(Exception, match="closed"):
        await names(session)


async def test_waiting_requests_are_served_first_come_first_served(settings: CoreSettings) -> None:
    engine = create_engine(settings.replica_url, settings, "read", pool_size=1)
    queue = ConnectionQueue(engine, timeout=60)
    served: list[str] = []

    async def take_a_turn(name: str) -> None:
        await queue.acquire()
        served.append(name)
        queue.release()

    await queue.acquire()
    async with asyncio.TaskGroup() as group:
        for name in ("first", "second"):
            group.create_task(take_a_turn(name))
        await asyncio.sleep(0)
        queue.release()
        await take_a_turn("newcomer")  # before those who wait know that it is their turn

    assert served == ["first", "second", "newcomer"]


async def test_a_request_that_waits_too_long_is_a_503(client_with: LabApp) -> None:
    one_connection = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.1}
    async with client_with(**one_connection) as (client, database):
        async with database.read(), database.transaction():
            read = await client.get("/lab/shelves")
            written = await client.post("/lab/shelves", json={"name": "one"})
        later = await client.get("/lab/shelves")

    assert read.status_code == written.status_code == 503
    assert read.headers["Retry-After"] == "1"
    assert later.status_code == 200


@pytest.mark.usefixtures("database")
async def test_work_that_takes_too_long_is_ended(settings: CoreSettings) -> None:
    limited = Database(settings.model_copy(update={"database_request_timeout_seconds": 0.2}))

    async def work_slowly() -> None:
        async with limited.transaction() as session:
            session.add(LabShelf(name="one"))
            await session.flush()
            await asyncio.sleep(5)

    with pytest.raises(UnavailableError):
        await work_slowly()

    async with limited.read() as reading:
        assert await names(reading) == []
    assert checked_out(limited) == 0
    await limited.dispose()


async def test_a_timeout_of_the_caller_is_not_reported_as_the_databases(
    database: Database,
) -> None:
    with pytest.raises(TimeoutError):
        async with database.transaction(), asyncio.timeout(0.01):
            await asyncio.sleep(5)


async def test_all_attempts_together_have_the_time_of_one_request(
    shelf: LabShelf, session: AsyncSession, settings: CoreSettings
) -> None:
    limits = {"database_lock_timeout_seconds": 1.0, "database_request_timeout_seconds": 1.5}
    limited = Database(settings.model_copy(update=limits))
    await session.execute(update(LabShelf).values(name="theirs"))
    attempts = 0

    async def rename(own: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await own.execute(update(LabShelf).values(name="ours"))

    with pytest.raises(UnavailableError):
        await limited.run(rename, attempts=5)
    await limited.dispose()
    await session.rollback()

    assert attempts <= 2


async def test_a_cancelled_request_gives_its_connection_back(database: Database) -> None:
    async def request() -> None:
        async with database.transaction() as session:
            session.add(LabShelf(name="one"))
            await session.flush()
            await asyncio.sleep(5)

    task = asyncio.create_task(request())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert checked_out(database) == 0
    async with database.transaction() as session:  # nor does it hold a lock
        assert await names(session) == []


async def test_a_transaction_that_lost_against_another_is_run_again(
    shelf: LabShelf, session: AsyncSession, settings: CoreSettings
) -> None:
    limited = Database(settings.model_copy(update={"database_lock_timeout_seconds": 1.0}))
    await session.execute(update(LabShelf).values(name="theirs"))
    attempts = 0

    async def rename(own: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            await session.commit()
        await own.execute(update(LabShelf).values(name="ours"))

    await limited.run(rename)
    await limited.dispose()

    assert attempts == 2
    assert await names(session) == ["ours"]


async def test_an_error_that_is_not_a_lost_race_is_not_run_again(database: Database) -> None:
    attempts = 0

    async def duplicate(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        session.add_all([LabShelf(name="one"), LabShelf(name="one")])

    with pytest.raises(DBAPIError):
        await database.run(duplicate)

    assert attempts == 1


async def test_a_savepoint_undoes_a_part(database: Database, session: AsyncSession) -> None:
    async with database.transaction() as own:
        own.add(LabShelf(name="kept"))
        with pytest.raises(DBAPIError):
            async with own.begin_nested():
                own.add_all([LabShelf(name="undone"), LabShelf(name="kept")])

    assert await names(session) == ["kept"]


@pytest.mark.usefixtures("database")
async def test_a_job_has_a_small_pool_and_no_deadline(settings: CoreSettings) -> None:
    async with open_database(settings) as job:
        async with job.transaction() as session:
            session.add(LabShelf(name="one"))
        pool: Any = job.read_engine.pool

        assert pool.size() == settings.database_job_pool_size
        assert job.deadline is None
        assert await job.fetch(names) == ["one"]


async def test_a_job_waits_for_a_lock_as_long_as_it_takes(
    shelf: LabShelf, session: AsyncSession, settings: CoreSettings
) -> None:
    limits = settings.model_copy(update={"database_lock_timeout_seconds": 1.0})
    await session.execute(update(LabShelf).values(name="theirs"))

    async def rename() -> None:
        async with open_database(limits) as job, job.transaction() as own:
            await own.execute(update(LabShelf).values(name="ours"))

    task = asyncio.create_task(rename())
    await asyncio.sleep(2)
    await session.commit()
    await task

    assert await names(session) == ["ours"]


@pytest.mark.usefixtures("database")
async def test_reads_go_to_the_replica_and_writes_to_the_primary(settings: CoreSettings) -> None:
    replica = settings.primary_url.set(database="replica")
    url = SecretStr(replica.render_as_string(hide_password=False))
    routed = Database(settings.model_copy(update={"database_replica_url": url}))

    assert routed.engine.url.database == settings.primary_url.database
    assert routed.read_engine.url.database == "replica"
    assert routed.primary_read_engine.url.database == settings.primary_url.database
    await routed.dispose()


async def test_without_its_replica_a_service_is_not_ready_and_reads_from_the_primary(
    client_with: LabApp, settings: CoreSettings, caplog: pytest.LogCaptureFixture
) -> None:
    url = settings.primary_url
    dead = url.set(port=1) if url.host else url.set(database="/nowhere/at/all")
    replica = dead.render_as_string(hide_password=False)
    async with client_with(database_replica_url=replica) as (client, _):
        ready = await client.get("/health/ready")
        written = await client.post("/lab/shelves", json={"name": "one"})
        read = await client.get("/lab/shelves")
        read_on_primary = await client.get("/lab/shelves/primary")

    assert ready.status_code == read.status_code == 503
    assert "The replica cannot be reached" in caplog.text
    assert written.status_code == 201
    assert read_on_primary.json() == 1
