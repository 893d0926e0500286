"""A place for the tests' databases: files in a folder that is deleted afterwards."""

import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "SWEEP_PREAMBLE",
    "ServerNotFoundError",
    "create_database",
    "drop_database",
    "running_server",
    "watch",
]

# Statements for the connection that empties all tables between two tests.
SWEEP_PREAMBLE: tuple[str, ...] = ()


class ServerNotFoundError(RuntimeError):
    """There is no database to test with; the message says what to do."""


@contextmanager
def running_server() -> Iterator[URL]:
    """The URL names a file in a new folder; names that begin with it are in that folder, too."""
    if sqlite3.sqlite_version_info < (3, 35):
        raise ServerNotFoundError(
            f"This Python comes with SQLite {sqlite3.sqlite_version}, which knows no RETURNING: "
            "install a Python with SQLite 3.35 or newer."
        )
    with tempfile.TemporaryDirectory(prefix="sqlite-", ignore_cleanup_errors=True) as folder:
        yield URL.create("sqlite+aiosqlite", database=str(Path(folder, "test")))


async def create_database(url: URL) -> None:
    """Makes its folder: SQLite creates the file that `url` names on the first connection."""
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)


async def drop_database(url: URL) -> None:
    """Removes the file that `url` names, and what SQLite keeps beside it."""
    suffixes = ("", "-wal", "-shm", "-journal")
    for file in [Path(f"{url.database}{suffix}") for suffix in suffixes]:
        file.unlink(missing_ok=True)


def watch(engine: AsyncEngine, note: Callable[[str], None]) -> None:
    """Call `note` with the SQL of each call of SQLite, in the context of who calls.

    A round trip is one to the thread of the connection. To connect does not count, nor does the
    end of a transaction that has not begun.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        raw = connection.driver_connection
        call = raw._execute

        def call_noted(function: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            name = function.__name__.upper()
            if name in {"COMMIT", "ROLLBACK"} and raw.in_transaction:
                note(name)
            elif "EXECUTE" in name:
                note(args[0])
            calling: Awaitable[Any] = call(function, *args, **kwargs)
            return calling

        raw._execute = call_noted
