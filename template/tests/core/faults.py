"""Commits that fail, and round trips that are interrupted: only in the requests of a test."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util.concurrency import await_only

from app.core import driver
from app.core.connections import check_in
from app.core.database import Database
from tests.conftest import checked_out
from tests.statements import round_trips

# How many commits a request has tried, while they fail.
tried: ContextVar[list[str] | None] = ContextVar("tried", default=None)


async def lose(connection: Any) -> None:
    """Close a connection of the driver."""
    closing = getattr(connection, "terminate", connection.close)()
    if inspect.isawaitable(closing):
        await closing


@contextmanager
def failing_commits() -> Iterator[None]:
    """Close the connection just before each COMMIT, by SQLAlchemy or by the driver itself.

    That is only for requests in `commits_of`, so that jobs of the service go on.
    """
    commit = driver.commit

    def on_commit(connection: Connection) -> None:
        if (noted := tried.get()) is not None:
            noted.append("SQLAlchemy")
            await_only(lose(connection.connection.driver_connection))

    async def commit_lost(connection: PoolProxiedConnection) -> None:
        if (noted := tried.get()) is not None:
            noted.append("driver")
            await lose(connection.driver_connection)
        await commit(connection)

    event.listen(Engine, "commit", on_commit)
    driver.commit = commit_lost
    try:
        yield
    finally:
        driver.commit = commit
        event.remove(Engine, "commit", on_commit)


@contextmanager
def commits_of() -> Iterator[list[str]]:
    """The commits that the requests in this block have tried. None succeeds."""
    noted: list[str] = []
    token = tried.set(noted)
    try:
        yield noted
    finally:
        tried.reset(token)


class Interrupt(list[str]):
    """The round trips of a request, of which one is interrupted, or each if the number is 0."""

    def __init__(self, number: int, interrupt: Callable[[str], None]) -> None:
        self.number = number
        self.interrupt = interrupt

    def append(self, statement: str) -> None:
        super().append(statement)
        if self.number in {0, len(self)}:
            self.interrupt(statement)


@contextmanager
def interrupted(number: int, interrupt: Callable[[str], None]) -> Iterator[Interrupt]:
    """Call `interrupt` in the round trip of this number, counted from 1, or in each for 0."""
    noted = Interrupt(number, interrupt)
    token = round_trips.set(noted)
    try:
        yield noted
    finally:
        round_trips.reset(token)


async def still_open(database: Database, patience: float = 5) -> str:
    """Say what requests have left open, if it is not closed within `patience` seconds.

    Connections that are in the pool again are asked whether they are in a transaction.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while checked_out(database):  # noqa: ASYNC110 - a cancelled task may still return it
                await asyncio.sleep(0.01)
    if checked_out(database):
        return "a connection checked out"
    for engine in database.engines:
        pool: Any = engine.pool
        idle = [await engine.raw_connection() for _ in range(pool.checkedin())]
        open_ones = [each for each in idle if in_transaction(each.driver_connection)]
        for each in idle:
            check_in(each, engine)
        if open_ones:
            return "a transaction open in the pool"
    return ""


def in_transaction(connection: Any) -> bool:
    """Ask a connection of the driver, which knows it from the last answer of the database."""
    names = ("is_in_transaction", "in_transaction", "get_transaction_status")
    found = next(getattr(connection, name) for name in names if hasattr(connection, name))
    return bool(found() if callable(found) else found)
