"""Statements that wait, and clients that leave or say nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.faults.conftest import Stage, on_all
from tests.faults.ledger import Ledger
from tests.faults.service import MARGIN_SECONDS, REQUEST_SECONDS, Service
from tests.servers import rows_of

# More than both workers have connections.
REQUESTS = 24
IDLE_SOCKETS = 500
# Of other users than the test's.
OPEN_TRANSACTIONS = {
    "asyncpg": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
    "aiomysql": "SELECT count(*) FROM information_schema.innodb_trx",
}
# More than the buffers of a socket take.
ORDERS = 40_000


@on_all
def test_a_service_that_waits_answers_in_time_and_keeps_nothing(stage: Stage) -> None:
    asyncio.run(wait_and_leave(stage))


async def wait_and_leave(stage: Stage) -> None:
    async with stage.serving(DATABASE_LOCK_TIMEOUT_SECONDS="30") as service:
        ledger = service.ledger()
        user = (await ledger.write()).body["id"]
        await exhaust_the_pool(service, stage, user)
        await leave_in_a_query(service, stage, user)
        await leave_in_an_import(service, stage, user)
        await leave_in_an_export(service, stage, user)
        await say_nothing(service)


@asynccontextmanager
async def locked(url: URL) -> AsyncIterator[None]:
    """Holds a lock of each user, or of the whole database where there is no smaller one."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE users SET full_name = full_name"))
        yield
    await engine.dispose()


async def rename(ledger: Ledger, user: str) -> int:
    return (await ledger.send("PATCH", f"/users/{user}", json={"full_name": "Bea"})).status


async def exhaust_the_pool(service: Service, stage: Stage, user: str) -> None:
    """The first requests reach the limit of a statement or a request, the others wait in line."""
    ledger, other = service.ledger(), service.ledger()
    async with locked(stage.url), asyncio.TaskGroup() as group:
        for _ in range(REQUESTS):
            group.create_task(rename(ledger, user))
        for _ in range(10):
            await other.send("GET", "/health/live")
            await asyncio.sleep(0.1)
    assert ledger.statuses() == {503: REQUESTS}
    assert {answer.retry_after for answer in ledger.refused()} == {"1"}
    assert ledger.slowest() < REQUEST_SECONDS + MARGIN_SECONDS
    assert other.statuses() == {200: 10}
    assert other.slowest() < 1
    await everything_is_free(service, stage, user)


async def everything_is_free(service: Service, stage: Stage, user: str) -> None:
    """After a second there is no transaction, no lock, and each connection can be used."""
    await asyncio.sleep(1)
    if stage.driver in OPEN_TRANSACTIONS:
        ((count,),) = await asyncio.to_thread(rows_of, stage.url, OPEN_TRANSACTIONS[stage.driver])
        assert count == 0
    async with asyncio.timeout(5), locked(stage.url):
        pass
    ledger = service.ledger()
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(rename(ledger, user))
            group.create_task(ledger.read())
    assert ledger.statuses() == {200: 16}


async def connect(service: Service, *headers: str, body: bytes = b"") -> asyncio.StreamWriter:
    """A connection with the beginning of a request, or with a whole one."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write("\r\n".join([*headers, "Host: test", ""]).encode() + body)
    await writer.drain()
    return writer


def leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def leave_in_a_query(service: Service, stage: Stage, user: str) -> None:
    body = json.dumps({"full_name": "Cleo"}).encode()
    request = f"PATCH /users/{user} HTTP/1.1"
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    async with locked(stage.url):
        for _ in range(4):
            writer = await connect(service, request, *headers, body=b"\r\n" + body)
            await asyncio.sleep(0.1)
            leave(writer)
    await everything_is_free(service, stage, user)


def lines(user: str, count: int) -> bytes:
    item = {"name": "Pen", "quantity": 1, "price_cents": 1}
    order: dict[str, Any] = {"user_id": user, "items": [item]}
    return (json.dumps(order) + "\n").encode() * count


async def leave_in_an_import(service: Service, stage: Stage, user: str) -> None:
    body = lines(user, 2000)
    chunk = b"\r\n%x\r\n%b\r\n" % (len(body), body)
    headers = ("Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")
    for _ in range(4):
        writer = await connect(service, "POST /orders/import HTTP/1.1", *headers, body=chunk)
        await asyncio.sleep(0.2)
        leave(writer)
    await everything_is_free(service, stage, user)


async def leave_in_an_export(service: Service, stage: Stage, user: str) -> None:
    ledger = service.ledger()
    for _ in range(20):
        answer = await ledger.send("POST", "/orders/import", content=lines(user, ORDERS // 20))
        assert answer.status == 200, answer
    for _ in range(2):  # more than there are connections for streams
        async with AsyncExitStack() as stack:
            for _ in range(5):
                writer = await connect(service, "GET /orders/export HTTP/1.1", body=b"\r\n")
                stack.callback(leave, writer)
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)
    for response in await asyncio.gather(export(ledger), export(ledger)):
        assert (response.status_code, response.text.count("\n")) == (200, ORDERS)
    await everything_is_free(service, stage, user)


async def export(ledger: Ledger) -> httpx.Response:
    """A connection is free again as soon as the service has noticed that its client left."""
    for _ in range(100):
        response = await ledger.client.get("/orders/export")
        if response.status_code != 503:
            break
        await asyncio.sleep(0.1)
    return response


async def say_nothing(service: Service) -> None:
    """Connections without a request, and with headers that never end, keep nobody waiting."""
    ledger = service.ledger()
    async with AsyncExitStack() as stack:
        for number in range(IDLE_SOCKETS):
            half = ["GET /users HTTP/1.1", "X-Slow: yes"] if number % 10 == 0 else []
            writer = await connect(service, *half) if half else await idle(service)
            stack.callback(leave, writer)
        async with ledger.load():
            await asyncio.sleep(1)
    assert ledger.statuses().keys() == {200, 201}
    assert ledger.slowest() < REQUEST_SECONDS


async def idle(service: Service) -> asyncio.StreamWriter:
    return (await asyncio.open_connection("127.0.0.1", service.port))[1]
