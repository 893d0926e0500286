"""What an import may cost the rest of the service: memory, and time of the event loop."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.domains.orders.factories import build_line
from tests.domains.users.factories import create_user

PIECE_BYTES = 65_536
LIMIT_BYTES = 16 * 1024 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Zero on macOS, which does not say so cheaply: there only the event loop is measured."""
    return int(STATM.read_text().split()[1]) * PAGE_BYTES if STATM.exists() else 0


@dataclass
class Load:
    busy_seconds: float = 0
    added_bytes: int = 0


@asynccontextmanager
async def measured() -> AsyncIterator[Load]:
    """The longest time for which the event loop was blocked, and how much memory was added.

    In seconds of CPU time, so that other load on the machine makes no difference.
    """
    load, before = Load(), resident_bytes()

    async def watch() -> None:
        while True:
            started = time.thread_time()
            await asyncio.sleep(0.01)
            load.busy_seconds = max(load.busy_seconds, time.thread_time() - started)
            load.added_bytes = max(load.added_bytes, resident_bytes() - before)

    watching = asyncio.create_task(watch())
    try:
        yield load
    finally:
        watching.cancel()


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """As a server receives it."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]
        await asyncio.sleep(0)


async def test_a_hundred_thousand_bad_lines_are_counted(client: AsyncClient) -> None:
    lines = 131_072
    body = b"1\n" * lines

    async with measured() as load:
        response = await client.post("/orders/import", content=in_pieces(body))

    result = response.json()
    assert (result["inserted"], result["rejected_count"]) == (0, lines)
    assert [each["line"] for each in result["rejected"]] == [*range(1, 101)]
    assert load.busy_seconds < 0.1
    assert load.added_bytes < LIMIT_BYTES


@pytest.mark.parametrize("count", [1, 100])
async def test_a_large_import_leaves_the_event_loop_to_others(
    client: AsyncClient, session: AsyncSession, count: int
) -> None:
    """Of orders with one item, or with a hundred."""
    order = json.loads(build_line((await create_user(session)).id))
    order["items"] *= count
    line = json.dumps(order).encode() + b"\n"
    lines = 1024 * 1024 // len(line)

    async with measured() as load:
        response = await client.post("/orders/import", content=in_pieces(line * lines))

    assert response.json()["inserted"] == lines
    assert load.busy_seconds < 0.1
    assert load.added_bytes < LIMIT_BYTES
