"""Everything about PostgreSQL and asyncpg that the rest of the service need not know."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL, ColumnElement, Connection, Dialect, Table, event, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import PoolProxiedConnection

from app.core.connections import check_options, replace_lost_connections
from app.core.failures import Failure

__all__ = [
    "DEFAULT_MIGRATION_URL",
    "DEFAULT_URL",
    "ERRORS",
    "MIGRATION_OPTIONS",
    "RESULT_TYPE",
    "STREAM_OPTIONS",
    "begin",
    "check_url",
    "commit",
    "details_of",
    "engine_options",
    "failure_of",
    "fetch",
    "insert_many",
    "is_in_transaction",
    "is_useless",
    "lacks_table_or_column",
    "migration_lock",
    "null_in_most_rows",
    "partial_index",
    "prepare",
    "returns_utc",
    "update_returning_ids",
    "upsert",
]

DEFAULT_URL = "postgresql+asyncpg://app:app@localhost:5432/app"
# The role that owns the tables, as compose.yaml makes it.
DEFAULT_MIGRATION_URL = "postgresql+asyncpg://migrator:migrator@localhost:5432/app"

# What asyncpg raises if the connection is unusable, and SQLAlchemy leaves as it is. The second one:
# the server is ending the connection at this very moment.
LOST: tuple[type[Exception], ...] = (OSError, asyncpg.InternalClientError)
# What `fetch` raises if the database reports an error or cannot be reached.
ERRORS: tuple[type[Exception], ...] = (asyncpg.PostgresError, asyncpg.InterfaceError, *LOST)

# The type of the driver's numbers, which SQLAlchemy asks for when it converts them.
RESULT_TYPE: Any = 1700  # NUMERIC: asyncpg returns decimals


# Outside a transaction PostgreSQL has no cursor to stream from.
STREAM_OPTIONS: dict[str, Any] = {"isolation_level": "READ COMMITTED"}

# A transaction for each revision: the version always names what the schema is.
MIGRATION_OPTIONS: dict[str, Any] = {
    "compare_server_default": True,
    "transaction_per_migration": True,
}

SESSION_ATTRIBUTES = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")
# By libpq's names; the last two are asyncpg's and SQLAlchemy's.
URL_OPTIONS: dict[str, type | tuple[str, ...]] = {
    "application_name": str,
    "channel_binding": ("disable", "prefer"),
    "connect_timeout": int,
    "host": str,
    "options": str,
    "passfile": Path,
    "password": str,
    "port": str,
    "sslcert": Path,
    "sslkey": Path,
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslrootcert": Path,
    "target_session_attrs": SESSION_ATTRIBUTES,
    "user": str,
    "statement_cache_size": int,
    "prepared_statement_cache_size": int,
}

MIGRATION_LOCK = 4_170_317_043_816_170_317  # any number that no other lock in the database has
MIGRATION_LOCK_SECONDS = 300.0

READ_ONLY = "25006"
UNKNOWN_NAMES = {"42P01", "42703"}  # a table, a column
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
    """Return the URL with libpq's names for its options.

    Raises `ValueError` if it names another database, or has an option that cannot be honored.
    """
    if url.drivername not in {"postgresql+asyncpg", "postgresql", "postgres"}:
        raise ValueError("must start with postgresql+asyncpg://")
    if not url.database:
        raise ValueError("must name a database: postgresql+asyncpg://user:password@host:5432/name")
    options = {name: ",".join(url.normalized_query[name]) for name in url.query}
    if "ssl" in options:
        options.setdefault("sslmode", options.pop("ssl"))
    if options.get("channel_binding") == "require":
        raise ValueError(
            "has channel_binding=require, which asyncpg does not support: remove it, and let "
            "sslmode=verify-full&sslrootcert=system verify the server instead"
        )
    check_root_certificate(options)
    is_file = options.get("sslrootcert") != "system"
    check_options(options, URL_OPTIONS if is_file else {**URL_OPTIONS, "sslrootcert": str})
    return url.set(drivername="postgresql+asyncpg", query=options)


def check_root_certificate(options: Mapping[str, str]) -> None:
    """Raise `ValueError` where asyncpg could not verify the server, or would not."""
    mode, certificate = options.get("sslmode"), options.get("sslrootcert")
    if certificate == "system" and (mode != "verify-full" or "sslcert" in options):
        raise ValueError("needs sslmode=verify-full, and no sslcert, for sslrootcert=system")
    by_default = Path("~/.postgresql/root.crt").expanduser()
    if mode in {"verify-ca", "verify-full"} and not (
        certificate or "PGSSLROOTCERT" in os.environ or by_default.is_file()
    ):
        raise ValueError(
            f"needs sslrootcert=/path/to/ca.pem, or sslrootcert=system, for sslmode={mode}"
        )


def connect_arguments(options: Mapping[str, Any], purpose: str) -> dict[str, Any]:
    """Arguments for asyncpg, which reads most of libpq's options from a DSN only."""
    arguments: dict[str, Any] = {}
    dsn = {name: value for name, value in options.items() if name != "channel_binding"}
    if timeout := int(dsn.pop("connect_timeout", 0)):
        arguments["timeout"] = timeout
    for name in ("statement_cache_size", "prepared_statement_cache_size"):
        if name in dsn:
            arguments[name] = int(dsn.pop(name))
    if dsn.get("sslrootcert") == "system":
        del dsn["sslmode"], dsn["sslrootcert"]
        arguments["ssl"] = True  # asyncpg's own name for the two
    if purpose == "read" and "target_session_attrs" in dsn:
        # By its settings, a read session is read-only on every server.
        kinds = {"read-write": "primary", "read-only": "standby"}
        kind = dsn["target_session_attrs"]
        dsn["target_session_attrs"] = kinds.get(kind, kind)
    return {**arguments, "dsn": f"postgresql://?{urlencode(dsn)}"}


class CheckedConnection(asyncpg.Connection):  # type: ignore[misc]
    """Raise an error where PostgreSQL answers COMMIT with a rollback.

    It does after an error that was caught outside a savepoint: what was written before is lost.
    """

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        status: str = await super().execute(query, *args, **options)
        if status == "ROLLBACK" and query.startswith("COMMIT"):
            raise asyncpg.InFailedSQLTransactionError(
                "nothing was committed: a statement of the transaction had failed. To go on after "
                "an error, execute the statement in `async with session.begin_nested()`."
            )
        return status


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
    if statement_timeout is not None:
        settings["idle_in_transaction_session_timeout"] = "60000"
    if purpose == "read":
        settings["default_transaction_read_only"] = "on"
    connect_args = {
        "timeout": connect_timeout,
        # For a network that swallows packets: the server's own limit comes first.
        "command_timeout": statement_timeout and statement_timeout + 5,
        "server_settings": settings,
        "connection_class": CheckedConnection,
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
    purpose: Literal["write", "read", "migrate"],
    *,
    ping_after_idle: float,
    url_options: Mapping[str, Any] = {},
) -> None:
    """Connect with the options of the URL, validate connections, and find out which are useless."""
    from_url = connect_arguments(url_options, purpose)

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_connect(dialect: Any, _: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*args, **{**kwargs, **from_url})
        except LOST as error:  # refused, unknown host, timed out
            raise dialect.loaded_dbapi.OperationalError(
                f"cannot connect: {error!r}", error
            ) from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        """A disconnect makes the pool replace all its connections, after a failover for example."""
        error = context.original_exception
        if context.connection is None or is_useless(error, writes=purpose == "write"):
            context.is_disconnect = True
        if isinstance(error, LOST):
            raise OperationalError(
                context.statement, None, error, hide_parameters=True, connection_invalidated=True
            )

    if purpose == "migrate":

        @event.listens_for(engine.sync_engine, "begin")
        def on_begin(connection: Connection) -> None:
            """Let CREATE INDEX CONCURRENTLY wait: it blocks no other statement."""
            outside = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
            timeout = "SET lock_timeout = 0" if outside else "RESET lock_timeout"
            connection.exec_driver_sql(timeout)

    replace_lost_connections(
        engine,
        lambda record: bool(record.driver_connection.is_closed()),
        ping_after_idle=ping_after_idle,
    )


def is_useless(error: BaseException, *, writes: bool) -> bool:
    """Return whether the error means that no connection of the pool can be used any more."""
    is_read_only = getattr(error, "sqlstate", None) == READ_ONLY
    return isinstance(error, LOST) or (writes and is_read_only)


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
    if isinstance(cause, TimeoutError):
        return Failure.TIMEOUT
    if error.connection_invalidated or isinstance(cause, OSError) or code.startswith("08"):
        return Failure.UNAVAILABLE
    return None


def lacks_table_or_column(error: DBAPIError) -> bool:
    """Return whether a statement names a table or a column that does not exist."""
    return getattr(cause_of(error), "sqlstate", None) in UNKNOWN_NAMES


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


def returns_utc(dialect: Dialect) -> bool:
    """Return whether instants come from the driver as datetimes in UTC."""
    return dialect.driver == "asyncpg"


async def fetch(
    connection: Any, statement: str, parameters: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    """Execute a query on the driver's own connection and return its rows, or raise `ERRORS`."""
    return await connection.fetch(statement, *parameters)  # type: ignore[no-any-return]


def is_in_transaction(connection: Any) -> bool:
    """Return whether BEGIN was sent: SQLAlchemy sends it with its first statement."""
    return bool(connection.is_in_transaction())


async def begin(connection: PoolProxiedConnection) -> None:
    """Begin a transaction, as SQLAlchemy does, or raise `ERRORS`."""
    adapter: Any = connection.dbapi_connection
    if adapter.autocommit:
        return
    transaction = adapter.driver_connection.transaction(
        isolation=adapter.isolation_level,
        readonly=adapter.readonly,
        deferrable=adapter.deferrable,
    )
    await transaction.start()
    adapter._transaction = transaction  # SQLAlchemy's own calls go on in it


async def commit(connection: PoolProxiedConnection) -> None:
    """Commit the transaction, or raise `ERRORS`."""
    adapter: Any = connection.dbapi_connection
    transaction, adapter._transaction = adapter._transaction, None
    await transaction.commit()


async def insert_many(
    connection: Any,
    table: Table,
    columns: Sequence[str],
    statement: str,  # noqa: ARG001 - other databases need it
    records: Iterable[Sequence[Any]],
) -> None:
    """Insert the records with COPY, in the transaction of the connection, or raise `ERRORS`."""
    await connection.copy_records_to_table(
        table.name, schema_name=table.schema, columns=columns, records=records
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


def null_in_most_rows(column: Any) -> ColumnElement[bool]:
    """Return the condition that the column is NULL, as it is in most rows."""
    return column.is_(None)  # type: ignore[no-any-return]


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
