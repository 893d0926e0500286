"""Validation of URL options and of pooled connections, for every database."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, PoolResetState


def check_options(options: Mapping[str, str], known: Mapping[str, type | tuple[str, ...]]) -> None:
    """Raise `ValueError` for an option of a URL, `?name=value`, that is not supported.

    `known` maps each option to its type, `str`, `int` or `Path`, or to its allowed values.
    """
    for name, value in options.items():
        expected = known.get(name)
        if expected is None:
            raise ValueError(f"has the unknown option {name}; known are {', '.join(sorted(known))}")
        if expected is int and not value.isdecimal():
            raise ValueError(f"needs a whole number for its option {name}")
        if expected is Path and not Path(value).is_file():
            raise ValueError(f"names a file for its option {name} that does not exist")
        if isinstance(expected, tuple) and value not in expected:
            raise ValueError(f"needs one of {', '.join(expected)} for its option {name}")


class NeedsIoError(Exception):
    """A connection must be made, or pinged, before it can be used."""


class Checkout:
    is_immediate = False


CHECKOUT = Checkout()


def support_check_out(engine: AsyncEngine) -> None:
    """Let connections be checked out and in without IO.

    Call this before other listeners of `do_connect` are added. The engine's
    `pool_reset_on_return` is `None`.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_connect(*_: Any) -> None:
        if CHECKOUT.is_immediate:
            raise NeedsIoError

    @event.listens_for(engine.sync_engine, "reset")
    def on_reset(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        is_clean = record.info.pop("is_clean", False) or state.transaction_was_reset
        if state.asyncio_safe and not is_clean:
            engine.dialect.do_rollback(connection)


async def check_out(engine: AsyncEngine) -> PoolProxiedConnection:
    """Return a connection from the pool.

    Without the greenlet and the transaction of SQLAlchemy's connections, `GET /users/{id}` takes
    12 % less time. Raise what `engine.connect` raises.
    """
    CHECKOUT.is_immediate = True
    try:
        return engine.pool.connect()
    except NeedsIoError:
        pass
    finally:
        CHECKOUT.is_immediate = False
    async with engine.connect() as made:
        # It is in the pool at the end, or this has raised why not. There is nothing to roll back,
        # for which a server that does not answer would be waited for, even after a cancellation.
        (await made.get_raw_connection()).info["is_clean"] = True
    dbapi: Any = engine.dialect.loaded_dbapi
    try:
        return await engine.raw_connection()  # with IO: it may be another one, or pinged every time
    except dbapi.Error as error:
        options: dict[str, Any] = {"connection_invalidated": True, "dialect": engine.dialect}
        raise DBAPIError.instance(None, None, error, dbapi.Error, True, **options) from error


def check_in(connection: PoolProxiedConnection, engine: AsyncEngine) -> None:
    """Return a connection that has no transaction to the pool, without IO."""
    if not connection.is_valid:
        return  # it was returned when it was lost
    pool: Any = engine.pool
    if pool.checkedin() >= pool.size():
        connection.invalidate()  # the pool would close it, which needs IO
    else:
        connection.info["is_clean"] = True
        connection.close()


def replace_lost_connections(
    engine: AsyncEngine, is_lost: Callable[[Any], bool], *, ping_after_idle: float
) -> None:
    """Validate connections when they are checked out of the pool.

    A connection for which `is_lost` is true is replaced without a round trip. A connection that
    was idle for more than `ping_after_idle` seconds is pinged first.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def on_checkin(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def on_checkout(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        now = time.monotonic()
        needs_ping = now - record.info.get("idle_since", now) > ping_after_idle
        if CHECKOUT.is_immediate and (needs_ping or is_lost(record)):
            raise NeedsIoError  # the connection is replaced
        if is_lost(record):
            raise DisconnectionError("The connection was lost in the pool.")
        if needs_ping:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise DisconnectionError("The connection did not answer a ping.") from error
