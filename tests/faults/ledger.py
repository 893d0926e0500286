"""Requests to a service, what it answered, and what of it is stored."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy.engine import URL

from tests.servers import rows_of

# What a client sees that gets no answer.
BROKEN = 0


@dataclass(frozen=True)
class Answer:
    status: int
    began: float
    ended: float
    retry_after: str | None
    body: Any = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Ledger:
    """The answers to the requests of one phase, by all clients."""

    client: httpx.AsyncClient
    answers: list[Answer] = field(default_factory=list)
    acknowledged: set[uuid.UUID] = field(default_factory=set)

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        began = time.monotonic()
        status, retry_after, body = BROKEN, None, None
        try:
            response = await self.client.request(method, path, **options)
        except httpx.TransportError as error:
            body = repr(error)
        else:
            status, retry_after = response.status_code, response.headers.get("Retry-After")
            body = response.json() if response.content else None
        answer = Answer(status, began, time.monotonic(), retry_after, body)
        self.answers.append(answer)
        return answer

    async def write(self, key: str | None = None) -> Answer:
        """Writes a row. With the same key, it is the same request again."""
        name = key or uuid.uuid4().hex
        person = {"email": f"{name}@example.com", "full_name": "Ada"}
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self.send("POST", "/users", json=person, headers=headers)
        if answer.status == 201:
            self.acknowledged.add(uuid.UUID(answer.body["id"]))
        return answer

    async def read(self) -> Answer:
        return await self.send("GET", "/users?limit=1")

    @asynccontextmanager
    async def load(self, *, writers: int = 4, readers: int = 2) -> AsyncIterator[None]:
        """Writes and reads until the end of the block; each request waits for the one before."""
        stops = asyncio.Event()

        async def repeat(request: Any) -> None:
            while not stops.is_set():
                await request()
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            for request in [self.write] * writers + [self.read] * readers:
                group.create_task(repeat(request))
            try:
                yield
            finally:
                stops.set()

    async def recovered(self, *, seconds: float = 5.0) -> float:
        """Waits until a write and a read succeed; returns after how many seconds they did."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if {(await self.write()).status, (await self.read()).status} == {200, 201}:
                return time.monotonic() - began
            await asyncio.sleep(0.02)
        raise AssertionError(f"No success within {seconds} s: {self.statuses()}")

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def broken(self) -> list[Any]:
        """Why there was no answer, each time."""
        return [answer.body for answer in self.answers if answer.status == BROKEN]

    def slowest(self) -> float:
        return max(answer.seconds for answer in self.answers)

    def refused(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 503]

    def summary(self, recovered: float) -> str:
        counts = ", ".join(
            f"{count} x {status}" for status, count in sorted(self.statuses().items())
        )
        return f"0 lost; {counts}; slowest {self.slowest():.2f} s; back after {recovered:.2f} s"

    async def lost(self, url: URL) -> set[uuid.UUID]:
        """What was acknowledged and is not stored, asked on the database itself."""
        return self.acknowledged - await stored(url)


async def stored(url: URL) -> set[uuid.UUID]:
    rows = await asyncio.to_thread(rows_of, url, "SELECT id FROM users")
    return ids_of(row[0] for row in rows)


def ids_of(values: Iterable[object]) -> set[uuid.UUID]:
    return {uuid.UUID(str(value)) for value in values}
