"""A proxy between a program and its database that counts statements and round trips."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy.engine import URL

CHUNK = 65_536
LENGTH, LENGTH_AND_CODE, MYSQL_HEAD = 4, 8, 4  # bytes
# PostgreSQL: the first messages have no type, and the codes of these ask for encryption.
ENCRYPTION = (80877103, 80877104)
QUERY_AND_EXECUTE = b"QE"
# MySQL: the same two.
COMMANDS = (3, 23)


@dataclass
class Count:
    statements: int = 0
    round_trips: int = 0  # turns of the program after turns of the server


class PostgresMessages:
    """What one connection sends, in pieces of any length."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.started = False

    def statements(self, data: bytes) -> int:
        self.buffer += data
        found = 0
        while len(self.buffer) >= (1 + LENGTH if self.started else LENGTH_AND_CODE):
            head = 1 if self.started else 0
            length = head + int.from_bytes(self.buffer[head : head + LENGTH])
            if len(self.buffer) < length:
                break
            if self.started:
                found += self.buffer[0] in QUERY_AND_EXECUTE
            else:
                self.started = int.from_bytes(self.buffer[LENGTH:LENGTH_AND_CODE]) not in ENCRYPTION
            del self.buffer[:length]
        return found


class MysqlMessages:
    """The same for MySQL and MariaDB."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def statements(self, data: bytes) -> int:
        self.buffer += data
        found = 0
        while len(self.buffer) >= MYSQL_HEAD:
            length = MYSQL_HEAD + int.from_bytes(self.buffer[:3], "little")
            if len(self.buffer) < length:
                break
            # The numbers of what belongs to the login, or to a longer message, are not 0.
            found += self.buffer[3] == 0 and self.buffer[4] in COMMANDS
            del self.buffer[:length]
        return found


class Proxy:
    def __init__(self, url: URL) -> None:
        self.address = (url.host, url.port)
        postgresql = url.get_backend_name() == "postgresql"
        self.messages: Callable[[], PostgresMessages | MysqlMessages]
        self.messages = PostgresMessages if postgresql else MysqlMessages
        self.count = Count()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, until one of the two sides has had enough."""
        from_server, to_server = await asyncio.open_connection(*self.address)
        messages, server_spoke = self.messages(), True

        async def ask() -> None:
            nonlocal server_spoke
            while data := await reader.read(CHUNK):
                self.count.round_trips += server_spoke
                self.count.statements += messages.statements(data)
                server_spoke = False
                to_server.write(data)

        async def answer() -> None:
            nonlocal server_spoke
            while data := await from_server.read(CHUNK):
                server_spoke = True
                writer.write(data)

        with suppress(ConnectionError):
            await asyncio.wait(
                [asyncio.create_task(ask()), asyncio.create_task(answer())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        for side in (writer, to_server):
            side.close()


@contextmanager
def counting_proxy(url: URL) -> Iterator[tuple[URL, Count]]:
    """The URL of the same database, and what goes there."""
    loop, proxy = asyncio.new_event_loop(), Proxy(url)
    server = loop.run_until_complete(asyncio.start_server(proxy.connect, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield url.set(host="127.0.0.1", port=port), proxy.count
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        server.close()
        loop.close()
