"""Sessions and transactions: where they come from, when they commit, what is run again."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session  # for ReadOnly below; the rest is asynchronous

from app.core import driver
from app.core.engine import ConnectionQueue, create_engine
from app.core.errors import UnavailableError
from app.core.failures import Failure
from app.core.settings import CoreSettings

T = TypeVar("T")


class ReadOnlyError(RuntimeError):
    """A read session was given something to write: the endpoint needs `SessionDep`."""


class ReadOnly(Session):
    def flush(self, objects: Any = None) -> None:  # noqa: ARG002 - the base class's
        if self.new or self.dirty or self.deleted:
            raise ReadOnlyError("This session only reads. Use SessionDep to write.")


@event.listens_for(ReadOnly, "do_orm_execute")
def refuse_locks(state: ORMExecuteState) -> None:
    """Without a transaction a lock ends with its statement, and protects nothing."""
    if getattr(state.statement, "_for_update_arg", None) is not None:
        raise ReadOnlyError("This session only reads. Use SessionDep to lock.")


class ReadSession(AsyncSession):
    """A session that refuses to write; its connections refuse too, whatever SQL they are given."""

    sync_session_class = ReadOnly


class Database:
    """The database of this process: an engine to write, an engine to read, and their sessions.

    A web process holds one from start to end (`DatabaseDep`); a script opens its own with
    `open_database`. Sessions come from it only, never from a global.
    """

    def __init__(self, settings: CoreSettings, *, job: bool = False) -> None:
        self.engine = create_engine(settings.primary_url, settings, "write", job=job)
        self.read_engine = create_engine(settings.replica_url, settings, "read", job=job)
        self.primary_read_engine = self.read_engine
        # A stream takes as long as its client reads: it delays only other streams.
        self.stream_engine = create_engine(
            settings.replica_url,
            settings,
            "read",
            job=True,
            pool_size=settings.database_stream_pool_size,
        )
        # Their own, so that a readiness check never waits behind requests.
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
        # Not expired on commit: a response is built from records after it, without a query.
        # Not reset but closed at the end: a session that is used too late fails and does not leak.
        self._write = async_sessionmaker(
            self.engine, expire_on_commit=False, close_resets_only=False
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
        """One unit of work: commit at the end, roll back on any exception.

        Raises `UnavailableError` if no connection is free in time or the work takes too long.
        """
        async with (
            self._within_deadline(),
            self._connection(self.engine),
            self._write.begin() as session,
        ):
            yield session

    @asynccontextmanager
    async def read(self, *, primary: bool = False) -> AsyncIterator[ReadSession]:
        """A session that only reads, from the replica where there is one.

        A replica lags behind: what was just written may be missing. `primary=True` reads from the
        primary. Each statement sees what is committed when it starts. Raises as `transaction` does.
        """
        engine = self.primary_read_engine if primary else self.read_engine
        async with (
            self._within_deadline(),
            self._connection(engine),
            self._read(bind=engine) as session,
        ):
            yield session

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[ReadSession]:
        """A read session without any deadline, for results that are sent while they are read.

        It has one of the few connections for streams. Raises `UnavailableError` if none is free
        in time.
        """
        engine = self.stream_engine
        async with self._connection(engine), self._read(bind=engine) as session:
            try:
                await session.connection(execution_options=driver.STREAM_OPTIONS)
                yield session
            except BaseException:
                await session.invalidate()  # else some drivers first read what nobody wants
                raise

    async def run(self, unit: Callable[[AsyncSession], Awaitable[T]], *, attempts: int = 3) -> T:
        """Run a unit of work in a transaction, again if it lost against another one.

        The database ends one of two transactions that wait for each other, or that cannot both
        be right. All of the work is repeated, so it does nothing but use the session it is given.
        All attempts together have the time of one request. Raises as `transaction` does.
        """
        async with self._within_deadline():
            for attempt in range(1, attempts):
                try:
                    async with self.transaction() as session:
                        return await unit(session)
                except DBAPIError as error:
                    if driver.failure_of(error) is not Failure.BUSY:
                        raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - no secret
            async with self.transaction() as session:
                return await unit(session)

    async def fetch(self, query: Callable[[ReadSession], Awaitable[T]]) -> T:
        """Run a query in a read session of its own."""
        async with self.read() as session:
            return await query(session)

    @property
    def engines(self) -> tuple[AsyncEngine, ...]:
        """All of them, each once."""
        health = (self.health_engine, self.replica_health_engine)
        return tuple(dict.fromkeys((*self._queues, *health)))

    async def dispose(self) -> None:
        for engine in self.engines:
            await engine.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[None]:
        queue = self._queues[engine]
        await queue.acquire()
        try:
            yield
        finally:
            queue.release()

    @asynccontextmanager
    async def _within_deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.deadline) as timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise  # one of the caller's own
            raise UnavailableError(Failure.TIMEOUT.detail) from error


@asynccontextmanager
async def open_database(settings: CoreSettings) -> AsyncIterator[Database]:
    """The database for a script or a job: a small pool, and no deadlines."""
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


# The scope is what makes a 2xx true: "function" commits before the response is sent. FastAPI's
# default commits after it, when a failed commit can no longer become an error.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[ReadSession, Depends(get_read_session, scope="function")]
# Where a replica may lag too far behind: what was just written is read.
PrimaryReadSessionDep = Annotated[ReadSession, Depends(get_primary_read_session, scope="function")]
# For endpoints that open their own: a retried transaction, concurrent queries, a stream.
DatabaseDep = Annotated[Database, Depends(get_database)]
