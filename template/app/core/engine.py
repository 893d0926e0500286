"""Engines, and the queue for their connections."""

import asyncio
from typing import Any, Literal

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.core import driver, statement_log
from app.core.connections import support_check_out
from app.core.errors import UnavailableError
from app.core.failures import Failure
from app.core.settings import CoreSettings

Purpose = Literal["write", "read", "migrate"]


def create_engine(
    url: URL, settings: CoreSettings, purpose: Purpose, *, job: bool = False, **options: Any
) -> AsyncEngine:
    """Create an engine. It connects on first use; close it with `await engine.dispose()`.

    Statements of jobs and migrations have no timeout. `options` are passed to SQLAlchemy's
    `create_async_engine` and override the settings.
    """
    without_timeouts = job or purpose == "migrate"
    pool: dict[str, Any] = {"poolclass": NullPool}
    if purpose != "migrate":
        pool = {
            "pool_size": settings.database_job_pool_size if job else settings.database_pool_size,
            "max_overflow": 0 if job else settings.database_max_overflow,
            "pool_timeout": settings.database_pool_timeout_seconds,
            "pool_recycle": settings.database_pool_recycle_seconds,
            "pool_reset_on_return": None,  # see `support_check_out`
        }
    # Not longer than a request: a wait for a lock cannot be cancelled on every database.
    longest = min(settings.database_lock_timeout_seconds, settings.database_request_timeout_seconds)
    lock_timeout = None if job else longest
    if purpose == "migrate":
        lock_timeout = settings.database_migration_lock_timeout_seconds
    for_the_driver = driver.engine_options(
        purpose,
        connect_timeout=settings.database_connect_timeout_seconds,
        statement_timeout=None if without_timeouts else settings.database_statement_timeout_seconds,
        lock_timeout=lock_timeout,
    )
    echo = {"echo": settings.database_echo, "hide_parameters": not settings.database_echo}
    # SQLAlchemy would pass the URL's options to `connect` unchanged. The driver translates them.
    without_options = url.set(query={})
    engine = create_async_engine(without_options, **{**pool, **echo, **for_the_driver, **options})
    if settings.database_echo:
        statement_log.listen(engine)
    if purpose != "migrate":
        support_check_out(engine)
    driver.prepare(
        engine,
        purpose,
        ping_after_idle=settings.database_ping_after_idle_seconds,
        url_options=url.query,
    )
    return engine


def most_connections(engine: AsyncEngine) -> int:
    """Return how many connections the pool of the engine opens at most."""
    pool: Any = engine.pool
    return int(pool.size() + max(0, pool._max_overflow))  # told by no public name


class ConnectionQueue:
    """Admit as many tasks as there are connections, first come, first served.

    SQLAlchemy's pool lets new requests overtake waiting ones, which could then starve.
    """

    def __init__(self, engine: AsyncEngine, *, timeout: float) -> None:
        self.places = asyncio.Semaphore(most_connections(engine))
        self.timeout = timeout

    async def acquire(self) -> None:
        """Wait until a connection is free.

        Raise `UnavailableError` after `timeout` seconds.
        """
        if not self.places.locked():
            await self.places.acquire()
            return
        try:
            async with asyncio.timeout(self.timeout):
                await self.places.acquire()
        except TimeoutError:
            raise UnavailableError("All connections to the database are in use.") from None

    def release(self) -> None:
        self.places.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()


class Deadline:
    """Cancel the work after some seconds, and raise `UnavailableError` instead."""

    def __init__(self, seconds: float | None) -> None:
        self.timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self.timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self.timeout.__aexit__(*error)
        except TimeoutError as reached:
            raise UnavailableError(Failure.TIMEOUT.detail) from reached


class Turns(ConnectionQueue):
    """The name of `ConnectionQueue` before 0.4."""

    async def take(self) -> None:
        await self.acquire()

    def give_back(self) -> None:
        self.release()
