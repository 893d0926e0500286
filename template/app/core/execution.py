"""Execute statements by the driver, in the transaction of a session."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import PoolProxiedConnection

from app.core import driver
from app.core.connections import check_out
from app.core.direct import Rows, announce, call
from app.core.sessions import LOST, LazySession, ReadSession, WriteSession


def engine_of(session: AsyncSession) -> Any:
    return session.engine if isinstance(session, LazySession) else session.get_bind().engine


def can_call_driver(session: AsyncSession) -> bool:
    """Return whether a query cannot miss what records of the session have changed."""
    if isinstance(session, WriteSession):
        return not session.is_built()
    return isinstance(session, ReadSession)


async def flush(session: AsyncSession) -> None:
    if not isinstance(session, LazySession) or session.is_built():
        await session.flush()


async def connection_of(session: AsyncSession) -> PoolProxiedConnection:
    """Return the connection for calls of the driver, in a transaction if the session writes."""
    reads = isinstance(session, ReadSession)
    if not isinstance(session, LazySession) or session.is_built() or session.is_closed:
        connection = await (await session.connection()).get_raw_connection()
        must_begin = not driver.is_in_transaction(connection.driver_connection)
    elif session.checked_out is None or (reads and not session.checked_out.is_valid):
        connection = session.checked_out = await check_out(session.engine)
        must_begin = True
    else:
        connection = session.checked_out
        must_begin = False
    if not connection.is_valid:
        raise PendingRollbackError(LOST)
    if must_begin and not reads:
        try:
            engine = engine_of(session)
            await call(engine, connection, "BEGIN", driver.begin, connection, writes=True)
        except BaseException:
            if isinstance(session, LazySession):
                session.check_in()
            raise
    return connection


async def execute(session: AsyncSession, sql: str, parameters: Sequence[Any]) -> Rows:
    """Execute the statement by the driver, and return its rows. Raise `DBAPIError`."""
    connection, engine = await connection_of(session), engine_of(session)
    announce(engine, sql, parameters)
    arguments = (driver.fetch, connection.driver_connection, sql, parameters)
    writes = not isinstance(session, ReadSession)
    return await call(engine, connection, sql, *arguments, writes=writes)
