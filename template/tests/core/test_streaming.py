import asyncio
import json

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.types import Message

from app.core.bulk import insert_rows
from app.core.database import Database
from app.core.streaming import read_chunks, read_lines
from tests.conftest import checked_out
from tests.core.conftest import LabApp
from tests.core.lab import LabShelf, ShelfRead


@pytest.fixture
async def shelves(session: AsyncSession) -> int:
    count = 3500
    await insert_rows(session, LabShelf, ({"name": f"Shelf {n}"} for n in range(count)))
    await session.commit()
    return count


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


async def test_a_stream_that_cannot_start_is_a_503(client_with: LabApp) -> None:
    one_connection = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.1}
    async with client_with(**one_connection) as (client, database), database.read():
        response = await client.get("/lab/export")

    assert response.status_code == 503


def request_of(*chunks: bytes) -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return messages.pop(0)

    return Request({"type": "http"}, receive)


async def test_lines_are_put_together_from_chunks() -> None:
    request = request_of(b'{"a"', b": 1}\n", b"\n\r\n", b"[2]\r\n[3", b"]")

    lines = [line async for line in read_lines(request)]

    assert [json.loads(line) for line in lines if line.strip()] == [{"a": 1}, [2], [3]]
    assert len(lines) == 5


async def test_a_line_that_is_too_long_is_not_json() -> None:
    request = request_of(b"1" * 50, b"2" * 50, b"\n1\n")

    lines = [line async for line in read_lines(request, longest=10)]

    assert lines == [b"1111111111\0", b"1"]
