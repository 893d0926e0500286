"""Everything about PostgreSQL and asyncpg that the rest of the service need not know."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import URL, ColumnElement, Connection, Table, event, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.failures import Failure

__all__ = [
    "DEFAULT_URL",
    "MIGRATION_OPTIONS",
    "STREAM_OPTIONS",
    "check_url",
    "details_of",
    "engine_options",
    "failure_of",
    "migration_lock",
    "partial_index",
    "prepare",
    "update_returning_ids",
    "upsert",
]

DEFAULT_URL = "postgresql+asyncpg://app:app@localhost:5432/app"

# Outside a transaction PostgreSQL has no cursor to stream from.
STREAM_OPTIONS: dict[str, Any] = {"isolation_level": "READ COMMITTED"}

# A transaction for each revision: the version always names what the schema is.
MIGRATION_OPTIONS: dict[str, Any] = {
    "compare_server_default": True,
    "transaction_per_migration": True,
}

MIGRATION_LOCK = 4_170_317_043_816_170_317  # any number that no other lock in the database has
MIGRATION_LOCK_SECONDS = 300.0

FAILURES = {
    "23505": Failure.DUPLICATE,
    "23P01": Failure.DUPLICATE,
    "23001": Failure.REFERENCE,
    "23503": Failure.REFERENCE,
    "23502": Failure.MISSING_VALUE,
    "23514": Failure.RULE,
    "22000": Failure.INVALID_VALUE,  # refused by asyncpg, before it is sent
    "22001": Failure.INVALID_VALUE,
    "22003": Failure.INVALID_VALUE,
    "22008": Failure.INVALID_VALUE,
    "22021": Failure.INVALID_VALUE,
    "22P02": Failure.INVALID_VALUE,
    "22P05": Failure.INVALID_VALUE,
    "0A000": Failure.BUSY,  # a prepared statement from before a migration: the next try succeeds
    "40001": Failure.BUSY,
    "40P01": Failure.BUSY,
    "55P03": Failure.BUSY,
    "25P03": Failure.TIMEOUT,
    "57014": Failure.TIMEOUT,
    "53100": Failure.UNAVAILABLE,
    "53200": Failure.UNAVAILABLE,
    "53300": Failure.UNAVAILABLE,
    "57P01": Failure.UNAVAILABLE,
    "57P02": Failure.UNAVAILABLE,
    "57P03": Failure.UNAVAILABLE,
}


def check_url(url: URL) -> URL:
    """Return the URL as SQLAlchemy needs it; raise `ValueError` if it names another database.

    Platforms hand out `postgres://…?sslmode=require`; asyncpg calls that option `ssl`.
    """
    if url.drivername not in {"postgresql+asyncpg", "postgresql", "postgres"}:
        raise ValueError("must start with postgresql+asyncpg://")
    if not url.database:
        raise ValueError("must name a database: postgresql+asyncpg://user:password@host:5432/name")
    if (mode := url.query.get("sslmode")) and "ssl" not in url.query:
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername="postgresql+asyncpg")


def engine_options(
    purpose: Literal["write", "read", "migrate"],
    *,
    connect_timeout: float,
    statement_timeout: float | None,
    lock_timeout: float | None,
) -> dict[str, Any]:
    """Options for `create_async_engine`. Timeouts in seconds; `None` is no limit."""
    settings = {
        "statement_timeout": str(round((statement_timeout or 0) * 1000)),
        "lock_timeout": str(round((lock_timeout or 0) * 1000)),
    }
    if purpose != "migrate":
        settings["idle_in_transaction_session_timeout"] = "60000"
    if purpose == "read":
        settings["default_transaction_read_only"] = "on"
    connect_args = {
        "timeout": connect_timeout,
        # For a network that swallows packets: the server's own limit comes first.
        "command_timeout": statement_timeout and statement_timeout + 5,
        "server_settings": settings,
    }
    if purpose == "read":
        # A SELECT is one round trip instead of three, and sees what READ COMMITTED sees.
        return {
            "connect_args": connect_args,
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
        }
    return {"connect_args": connect_args}


def prepare(
    engine: AsyncEngine,
    purpose: Literal["write", "read", "migrate"],  # noqa: ARG001 - the other databases need it
    *,
    ping_after_idle: float,
) -> None:
    """Validate connections before use, and report a failed connect as any other failure.

    A connection that is known to be closed is replaced for free; one that lay idle for more
    than `ping_after_idle` seconds is asked first.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_connect(dialect: Any, _: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*args, **kwargs)
        except (
            OSError
        ) as error:  # refused, unknown host, timed out: asyncpg leaves them as they are
            raise dialect.loaded_dbapi.OperationalError(
                f"cannot connect: {error!r}", error
            ) from error

    @event.listens_for(engine.sync_engine, "checkin")
    def on_checkin(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def on_checkout(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("The connection was closed while it lay in the pool.")
        now = time.monotonic()
        if now - record.info.get("idle_since", now) > ping_after_idle:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise DisconnectionError(
                    "The connection was lost while it lay in the pool."
                ) from error


def cause_of(error: DBAPIError) -> Any:
    try:
        return error.driver_exception
    except ValueError:  # SQLAlchemy 2.1 builds InvalidCachedStatementError without its cause
        return error.orig and error.orig.__cause__


def failure_of(error: DBAPIError) -> Failure | None:
    """Return what went wrong, or `None` for what is a bug of the service."""
    cause = cause_of(error)
    code = getattr(cause, "sqlstate", None) or ""
    if code == "0A000" and type(cause).__name__ != "InvalidCachedStatementError":
        return None
    if code == "22000" and isinstance(cause.__cause__, TypeError | AttributeError):
        return None  # a value of another Python type than the column's, refused by asyncpg
    if code in FAILURES:
        return FAILURES[code]
    if error.connection_invalidated or isinstance(cause, OSError) or code.startswith("08"):
        return Failure.UNAVAILABLE
    return None


def details_of(error: DBAPIError) -> dict[str, str]:
    """Return what may be logged of an error: `code`, `constraint`, `column` and `reason`.

    Each is there if the database tells it. None has values of the request or of a row.
    """
    cause = cause_of(error)
    code = getattr(cause, "sqlstate", None) or ""
    details = {
        "code": code,
        "constraint": getattr(cause, "constraint_name", None),
        "column": getattr(cause, "column_name", None),
    }
    # PostgreSQL's details have values, as do messages about values, and those of triggers.
    if not code.startswith(("22", "P0")):
        details["reason"] = getattr(cause, "message", None) or str(cause)
    return {name: value for name, value in details.items() if value}


def upsert(
    target: type[DeclarativeBase] | Table, *, key: Sequence[str], update: Sequence[str]
) -> Any:
    """Insert, or update the columns `update` of the row that has the same `key`.

    `key` are the columns of a unique constraint. Without columns to update, an existing row
    stays as it is. Pass the rows as parameters, sorted by the key, none of them twice.
    """
    statement = insert(target)
    if not update:
        return statement.on_conflict_do_nothing(index_elements=key)
    changing = (column.name for column in statement.table.columns if column.onupdate is not None)
    names = {*update, *changing}
    return statement.on_conflict_do_update(
        index_elements=key, set_={name: statement.excluded[name] for name in names}
    )


async def update_returning_ids(
    session: AsyncSession,
    model: Any,
    values: Mapping[str, Any],
    *where: ColumnElement[bool],
) -> Sequence[Any]:
    """Update the rows that match, in one statement, and return their ids."""
    statement = update(model).where(*where).values(**values).returning(model.id)
    return (await session.scalars(statement)).all()


def partial_index(where: str) -> dict[str, Any]:
    """Options for an `Index` of only the rows for which the condition `where` is true."""
    return {"postgresql_where": text(where)}


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Let one process migrate at a time. Raises `TimeoutError` after five minutes of waiting.

    It asks again and again, because a statement that waits holds a snapshot, and
    CREATE INDEX CONCURRENTLY waits for the end of every snapshot: a deadlock.
    """
    deadline = time.monotonic() + MIGRATION_LOCK_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:id)"), {"id": MIGRATION_LOCK}):
        connection.rollback()
        if time.monotonic() > deadline:
            raise TimeoutError("Another process has been migrating this database for five minutes.")
        time.sleep(0.25)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": MIGRATION_LOCK})
        connection.commit()
