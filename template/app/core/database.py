"""Sessions and transactions: how they are opened, committed and retried."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.core import driver, sessions
from app.core.engine import ConnectionQueue, Deadline, create_engine
from app.core.failures import Failure
from app.core.sessions import WriteSession
from app.core.settings import CoreSettings

T = TypeVar("T")

# They were in this module up to 0.4.
ReadOnly = sessions.ReadOnly
ReadOnlyError = sessions.ReadOnlyError
ReadSession = sessions.ReadSession
refuse_locks = sessions.refuse_locks


class Database:
    """The engines of this process, for writing and for reading, and their sessions.

    A web process has one instance for its lifetime (`DatabaseDep`). A script opens its own with
    `open_database`. There are no global sessions.
    """

    def __init__(self, settings: CoreSettings, *, job: bool = False) -> None:
        self.engine = create_engine(settings.primary_url, settings, "write", job=job)
        self.read_engine = create_engine(settings.replica_url, settings, "read", job=job)
        self.primary_read_engine = self.read_engine
        # A slow client keeps its stream's connection. A separate pool limits this to streams.
        self.stream_engine = create_engine(
            settings.replica_url,
            settings,
            "read",
            job=True,
            pool_size=settings.database_stream_pool_size,
        )
        # Separate engines, so that a readiness check never waits for requests.
        single: dict[str, Any] = {"job": job, "pool_size": 1, "max_overflow": 0}
        self.health_engine = create_engine(settings.primary_url, settings, "read", **single)
        self.replica_health_engine = self.health_engine
        if settings.database_replica_url is not None:
            self.primary_read_engine = create_engine(
                settings.primary_url, settings, "read", job=job
            )
            self.replica_health_engine = create_engine(
                settings.replica_url, settings, "read", **single
            )
        # `expire_on_commit`: a response is built from records after the commit, without a query.
        # `close_resets_only`: using a closed session is an error and does not leak a connection.
        self._write = async_sessionmaker(
            self.engine, class_=WriteSession, expire_on_commit=False, close_resets_only=False
        )
        self._read = async_sessionmaker(
            class_=ReadSession, expire_on_commit=False, close_resets_only=False
        )
        wait = settings.database_pool_timeout_seconds if not job else 3600.0
        requests = (self.engine, self.read_engine, self.primary_read_engine, self.stream_engine)
        self._queues = {engine: ConnectionQueue(engine, timeout=wait) for engine in requests}
        self.stream_send_timeout = settings.stream_send_timeout_seconds
        self.deadline = None if job else settings.database_request_timeout_seconds

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a session in a transaction: commit at the end, roll back on any exception.

        Raise `UnavailableError` if no connection is free in time or the work takes too long.
        """
        queue = self._queues[self.engine]
        async with Deadline(self.deadline), queue, self._write() as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def read(self, *, primary: bool = False) -> AsyncIterator[ReadSession]:
        """Open a session that only reads, from the replica if there is one.

        A replica may lag behind the primary and miss recent writes. `primary=True` reads from the
        primary. Each statement sees the data committed before it starts. Raise
        `UnavailableError` as `transaction` does.
        """
        engine = self.primary_read_engine if primary else self.read_engine
        queue = self._queues[engine]
        async with Deadline(self.deadline), queue, self._read(bind=engine) as session:
            yield session

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[ReadSession]:
        """Open a read session without a deadline, for results that are sent while they are read.

        It uses one of the connections for streams. Raise `UnavailableError` if none is free in
        time.
        """
        engine = self.stream_engine
        async with self._queues[engine], self._read(bind=engine) as session:
            try:
                await session.connection(execution_options=driver.STREAM_OPTIONS)
                yield session
            except BaseException:
                await session.invalidate()  # otherwise some drivers read the rest first
                raise

    async def run(self, unit: Callable[[AsyncSession], Awaitable[T]], *, attempts: int = 3) -> T:
        """Run a unit of work in a transaction. Retry it after a deadlock or serialization failure.

        All of `unit` is repeated, so it must have no side effects outside the session that it is
        given. The deadline of a request applies to all attempts together. Raise
        `UnavailableError` as `transaction` does.
        """
        async with Deadline(self.deadline):
            for attempt in range(1, attempts):
                try:
                    async with self.transaction() as session:
                        return await unit(session)
                except DBAPIError as error:
                    if driver.failure_of(error) is not Failure.BUSY:
                        raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - not a secret
            async with self.transaction() as session:
                return await unit(session)

    async def fetch(self, query: Callable[[ReadSession], Awaitable[T]]) -> T:
        """Run a query in its own read session."""
        async with self.read() as session:
            return await query(session)

    @property
    def engines(self) -> tuple[AsyncEngine, ...]:
        """All engines, without duplicates."""
        health = (self.health_engine, self.replica_health_engine)
        return tuple(dict.fromkeys((*self._queues, *health)))

    async def dispose(self) -> None:
        for engine in self.engines:
            await engine.dispose()


@asynccontextmanager
async def open_database(settings: CoreSettings) -> AsyncIterator[Database]:
    """Open the database for a script or a job: with a small pool and without deadlines."""
    database = Database(settings, job=True)
    try:
        yield database
    finally:
        await database.dispose()


async def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.database.transaction() as session:
        yield session


async def get_read_session(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.read() as session:
        yield session


async def get_primary_read_session(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.read(primary=True) as session:
        yield session


# With the scope "function", the transaction is committed before the response is sent. FastAPI's
# default would commit afterwards, when a failed commit can no longer change the response.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[ReadSession, Depends(get_read_session, scope="function")]
# For endpoints that must read recent writes, which a replica may not have yet.
PrimaryReadSessionDep = Annotated[ReadSession, Depends(get_primary_read_session, scope="function")]
# For endpoints that open their own sessions: retried transactions, concurrent queries, streams.
DatabaseDep = Annotated[Database, Depends(get_database)]
