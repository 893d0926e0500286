"""A proxy between a service and its database that makes the faults of a network."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal, Self

# Not AUTOCOMMIT, and not the isolation level READ COMMITTED.
COMMIT = re.compile(rb"(?<!AUTO)COMMIT(?!TED)")

Cut = Literal["before", "after"]


class Proxy:
    """Passes on what arrives on `port`, until a fault is set. It runs in the test's event loop."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.latency = 0.0
        self.cut_at_commit: Cut | None = None
        self.cuts = 0
        self.flows = asyncio.Event()
        self.flows.set()
        self.writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server.close()
        self.flows.set()
        self.cut()

    def cut(self) -> None:
        """Ends all connections, as a firewall does that forgets them and answers with a reset."""
        for writer in self.writers:
            writer.transport.abort()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing passes, on connections that are open and on those that are made meanwhile."""
        self.flows.clear()
        try:
            yield
        finally:
            self.flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            await self.flows.wait()
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.writers.add(other_writer)
        try:
            async with asyncio.TaskGroup() as group:
                # The requests of one connection, and their answers.
                pumps = Connection(self, writer, other_writer)
                group.create_task(pumps.requests(reader))
                group.create_task(pumps.answers(other_reader))
        except* OSError:
            pass
        finally:
            for each in (writer, other_writer):
                each.transport.abort()
                self.writers.discard(each)


class Connection:
    def __init__(
        self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.committed = False

    async def requests(self, reader: asyncio.StreamReader) -> None:
        before = b""
        while data := await self.read(reader):
            # aiomysql commits its settings when it connects.
            writes, before = b"SET SESSION" not in before, data
            if self.proxy.cut_at_commit and writes and COMMIT.search(data):
                self.proxy.cuts += 1
                if self.proxy.cut_at_commit == "before":
                    break
                self.committed = True
            self.server.write(data)
        raise ConnectionResetError

    async def answers(self, reader: asyncio.StreamReader) -> None:
        # The answer of COMMIT has come, so the database has committed.
        while (data := await self.read(reader)) and not self.committed:
            self.client.write(data)
        raise ConnectionResetError

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        data = b""
        with suppress(OSError):
            data = await reader.read(65_536)
        await self.proxy.flows.wait()
        if self.proxy.latency:
            await asyncio.sleep(self.proxy.latency)
        return data
