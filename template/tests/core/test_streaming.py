import asyncio
import gc
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from starlette.types import Message

from app.core.bulk import insert_rows
from app.core.database import Database
from app.core.settings import CoreSettings
from app.core.streaming import read_chunks, read_lines
from tests.conftest import checked_out
from tests.core.conftest import LabApp, LabServer, request_of, until
from tests.core.lab import LabShelf, ShelfRead


@pytest.fixture
async def shelves(session: AsyncSession) -> int:
    count = 3500
    await insert_rows(session, LabShelf, ({"name": f"Shelf {n}"} for n in range(count)))
    await session.commit()
    return count


LAST_CHUNK = b"\r\n0\r\n\r\n"
QUERY = select(LabShelf.id, LabShelf.name, LabShelf.created_at, LabShelf.updated_at)


async def test_a_stream_holds_every_row_once(client: AsyncClient, shelves: int) -> None:
    response = await client.get("/lab/export")

    assert response.headers["content-type"] == "application/x-ndjson"
    names = {json.loads(line)["name"] for line in response.text.splitlines()}
    assert names == {f"Shelf {number}" for number in range(shelves)}


async def test_an_empty_stream_is_an_empty_body(client: AsyncClient) -> None:
    response = await client.get("/lab/export")

    assert (response.status_code, response.content) == (200, b"")


async def test_a_stream_is_read_in_parts(database: Database, shelves: int) -> None:
    sizes = [chunk.count(b"\n") async for chunk in read_chunks(database, QUERY, ShelfRead)]

    assert sizes == [1000, 1000, 1000, 500]


async def test_a_stream_that_is_left_gives_its_connection_back(
    database: Database, shelves: int
) -> None:
    chunks = read_chunks(database, QUERY, ShelfRead)
    await anext(chunks)
    assert checked_out(database) == 1

    await chunks.aclose()

    assert checked_out(database) == 0


async def test_a_stream_ends_with_its_client(
    client: AsyncClient, database: Database, shelves: int
) -> None:
    application = client._transport.app  # type: ignore[attr-defined]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/lab/export",
        "raw_path": b"/lab/export",
        "query_string": b"",
        "headers": [],
        "asgi": {"spec_version": "2.4"},
    }

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("The client is gone.")

    await application(scope, receive, send)

    assert checked_out(database) == 0


@pytest.mark.usefixtures("database")
async def test_a_stream_may_take_longer_than_other_statements(
    settings: CoreSettings, shelves: int
) -> None:
    """It takes long to find the first row, and then the reader pauses: each is ended elsewhere."""
    limit_seconds = 0.1
    changes = {"database_statement_timeout_seconds": limit_seconds}
    limited = Database(settings.model_copy(update=changes))
    other = aliased(LabShelf)
    query = QUERY.join(other, other.name.like("Shelf 3__")).order_by(LabShelf.name, other.name)

    chunks = read_chunks(limited, query.limit(50_000), ShelfRead)
    lines = (await anext(chunks)).count(b"\n")
    await asyncio.sleep(5 * limit_seconds)
    lines += sum([chunk.count(b"\n") async for chunk in chunks])
    await limited.dispose()

    assert lines == 50_000


async def test_a_stream_that_cannot_start_is_a_503(client_with: LabApp) -> None:
    one_stream = {"database_stream_pool_size": 1, "database_pool_timeout_seconds": 0.1}
    async with client_with(**one_stream) as (client, database), database.stream():
        response = await client.get("/lab/export")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"


@asynccontextmanager
async def ask(port: int) -> AsyncIterator[socket.socket]:
    """Ask for all shelves on a socket, which leaves the answer to its user."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"GET /lab/export HTTP/1.1\r\nHost: test\r\n\r\n")
        yield client


async def read_answer(client: socket.socket, *, pause: float = 0) -> bytes:
    """Read to the end of the response, or to that of the connection."""
    answer = b""
    while part := await asyncio.get_running_loop().sock_recv(client, 32_768):
        answer += part
        if answer.endswith(LAST_CHUNK):
            break
        await asyncio.sleep(pause)
    return answer


async def test_clients_that_do_not_read_hold_up_streams_only(
    server_with: LabServer, shelves: int
) -> None:
    limits = {
        "database_pool_size": 2,
        "database_stream_pool_size": 2,
        "database_pool_timeout_seconds": 0.2,
    }
    async with (
        server_with(**limits) as (port, database),
        ask(port),
        ask(port),
        AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await until(lambda: checked_out(database) == 2)
        reads = [await client.get("/lab/shelves") for _ in range(3)]
        another_stream = await client.get("/lab/export")

    assert [(read.status_code, read.json()) for read in reads] == [(200, shelves)] * 3
    assert another_stream.status_code == 503


async def test_a_client_that_does_not_read_is_cut_off(
    server_with: LabServer, shelves: int, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"database_stream_pool_size": 1, "stream_send_timeout_seconds": 0.5}
    async with server_with(**limits) as (port, database), ask(port) as idle:
        await until(lambda: checked_out(database) == 1)
        async with ask(port) as next_in_line:
            complete = await read_answer(next_in_line)
        incomplete = await read_answer(idle)

    assert complete.count(b'"name"') == shelves
    assert complete.endswith(LAST_CHUNK)
    assert incomplete.startswith(b"HTTP/1.1 200")
    assert not incomplete.endswith(LAST_CHUNK)
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.getMessage() == "Ended a stream: the client accepted nothing for 0.5 seconds."
    assert not line.exc_info


async def test_a_client_that_leaves_ends_its_stream(
    server_with: LabServer, shelves: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with server_with() as (port, database):
        async with ask(port):
            await until(lambda: checked_out(database) == 1)
        await until(lambda: checked_out(database) == 0)
    gc.collect()  # asyncio reports a task that was left behind when it is collected

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_that_reads_slowly_receives_everything(
    server_with: LabServer, shelves: int
) -> None:
    limit_seconds = 1.0
    async with (
        server_with(stream_send_timeout_seconds=limit_seconds) as (port, _),
        ask(port) as client,
    ):
        started = time.monotonic()
        answer = await read_answer(client, pause=0.02)

    assert time.monotonic() - started > limit_seconds
    assert answer.count(b'"name"') == shelves
    assert answer.endswith(LAST_CHUNK)


async def test_lines_are_put_together_from_chunks() -> None:
    request = request_of(b'{"a"', b": 1}\n", b"\n\r\n", b"[2]\r\n[3", b"]")

    lines = [line async for line in read_lines(request)]

    assert [json.loads(line) for line in lines if line.strip()] == [{"a": 1}, [2], [3]]
    assert len(lines) == 5


async def test_a_line_that_is_too_long_is_not_json() -> None:
    request = request_of(b"1" * 50, b"2" * 50, b"\n1\n")

    lines = [line async for line in read_lines(request, longest=10)]

    assert lines == [b"1111111111\0", b"1"]


async def test_a_line_in_many_small_chunks_takes_no_longer() -> None:
    chunks = [b"1" * 16] * 65_536

    started = time.process_time()
    lines = [line async for line in read_lines(request_of(*chunks))]

    assert len(lines) == 1
    assert time.process_time() - started < 1
