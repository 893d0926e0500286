"""Everything about SQLite and aiosqlite that the rest of the service need not know."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Literal
from weakref import WeakSet

import aiosqlite
from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    event,
    func,
    text,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

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

DEFAULT_URL = "sqlite+aiosqlite:///app.db"
DEFAULT_MIGRATION_URL = DEFAULT_URL  # a file has no roles

# What `fetch` raises if the database reports an error or cannot be reached.
ERRORS: tuple[type[Exception], ...] = (sqlite3.Error,)

# The type of the driver's numbers, which SQLAlchemy asks for when it converts them.
RESULT_TYPE: Any = None


STREAM_OPTIONS: dict[str, Any] = {}

URL_OPTIONS: dict[str, type | tuple[str, ...]] = {"synchronous": ("full", "normal")}

UNKNOWN_NAME = re.compile(r"no such (table|column): |table \S+ has no column named ")
# The beginnings of SQLite's own names for its errors.
FAILURES = {
    "SQLITE_CONSTRAINT_UNIQUE": Failure.DUPLICATE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Failure.DUPLICATE,
    "SQLITE_CONSTRAINT_ROWID": Failure.DUPLICATE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Failure.REFERENCE,
    "SQLITE_CONSTRAINT_TRIGGER": Failure.REFERENCE,  # ON DELETE RESTRICT is one inside
    "SQLITE_CONSTRAINT_NOTNULL": Failure.MISSING_VALUE,
    "SQLITE_CONSTRAINT_CHECK": Failure.RULE,
    "SQLITE_MISMATCH": Failure.INVALID_VALUE,
    "SQLITE_TOOBIG": Failure.INVALID_VALUE,
    "SQLITE_BUSY": Failure.BUSY,
    "SQLITE_LOCKED": Failure.BUSY,
    "SQLITE_INTERRUPT": Failure.TIMEOUT,
    "SQLITE_CANTOPEN": Failure.UNAVAILABLE,
    "SQLITE_FULL": Failure.UNAVAILABLE,
    "SQLITE_IOERR": Failure.UNAVAILABLE,
    "SQLITE_READONLY_DBMOVED": Failure.UNAVAILABLE,
}


@compiles(BigInteger, "sqlite")
def count_up_large_keys(*_: Any, **__: Any) -> str:
    """Every INTEGER has 64 bits, and only a key of that name counts up by itself."""
    return "INTEGER"


def check_url(url: URL) -> URL:
    """Return the URL as SQLAlchemy needs it.

    Raises `ValueError` if it names another database, or has an option that cannot be honored.
    """
    if url.drivername not in {"sqlite+aiosqlite", "sqlite"}:
        raise ValueError("must start with sqlite+aiosqlite:///")
    if url.database in {None, "", ":memory:"}:
        raise ValueError(
            "must name a file, which all connections share: sqlite+aiosqlite:///app.db"
        )
    options = {name: values[-1].lower() for name, values in url.normalized_query.items()}
    check_options(options, URL_OPTIONS)
    return url.set(drivername="sqlite+aiosqlite", query=options)


class TrackedConnection(sqlite3.Connection):
    """Know the cursors. One with rows left keeps the locks, and makes an interrupt last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any) -> Any:
        cursor = super().cursor(*arguments)
        self.cursors.add(cursor)
        return cursor


async def connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Connect. If that fails or is cancelled, close the file, and wait for the thread to end.

    The thread would otherwise report its end to an event loop that may be closed by then.
    """
    opened: list[sqlite3.Connection] = []

    def open_file() -> sqlite3.Connection:
        # `check_same_thread`: another thread closes it below, after its own has ended
        opened.append(sqlite3.connect(*arguments, **{**options, "check_same_thread": False}))
        return opened[0]

    def close() -> None:
        thread.join()
        for each in opened:  # aiosqlite forgets it if the task is cancelled
            each.close()

    connection = aiosqlite.Connection(open_file, iter_chunk_size=64)
    thread = connection._thread
    thread.daemon = True  # as SQLAlchemy does
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(close)
        raise


def engine_options(
    purpose: Literal["write", "read", "migrate"],
    *,
    connect_timeout: float,  # noqa: ARG001 - a file needs none, other databases do
    statement_timeout: float | None,  # noqa: ARG001
    lock_timeout: float | None,
) -> dict[str, Any]:
    """Options for `create_async_engine`. Timeouts in seconds; `None` is no limit."""
    connect_args: dict[str, Any] = {"timeout": lock_timeout or 3600}
    connect_args |= {"async_creator_fn": connect, "factory": TrackedConnection}
    options: dict[str, Any] = {"connect_args": connect_args}
    if purpose == "read":
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    if purpose == "write":
        # There is one writer at a time. In the pool they wait in line, in SQLite they would poll.
        options |= {"pool_size": 1, "max_overflow": 0}
    return options


def prepare(
    engine: AsyncEngine,
    purpose: Literal["write", "read", "migrate"],
    *,
    ping_after_idle: float,
    url_options: Mapping[str, Any] = {},
) -> None:
    """Set up and validate connections: write-ahead log, foreign keys, explicit BEGIN."""
    # Migrations copy tables. With foreign keys on, dropping the old one deletes what refers to it
    foreign_keys = "OFF" if purpose == "migrate" else "ON"
    # With NORMAL, a power cut can take back the last commits.
    synchronous = url_options.get("synchronous", "full")
    pragmas = ["journal_mode=WAL", f"synchronous={synchronous}", f"foreign_keys={foreign_keys}"]
    if purpose == "read":
        pragmas.append("query_only=ON")

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, the driver must not
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        # SQLite's own knows A to Z only, and a search should find É as é.
        connection.create_function("lower", 1, fold_case, deterministic=True)
        record.info["file"] = identify(engine.url.database)

    def is_lost(record: ConnectionPoolEntry) -> bool:
        """Do not go on writing to a file that was deleted or replaced by a backup."""
        return bool(record.info["file"] != identify(engine.url.database))

    if purpose != "read":

        @event.listens_for(engine.sync_engine, "begin")
        def on_begin(connection: Connection) -> None:
            """Take the write lock at once: reading first and then writing would be refused."""
            options = connection.get_execution_options()
            has_begun = connection.info.pop("has_begun", False)  # by `begin` below
            if options.get("isolation_level") != "AUTOCOMMIT" and not has_begun:
                connection.exec_driver_sql(options.get("begin", "BEGIN IMMEDIATE"))

    if purpose == "write":

        @event.listens_for(engine.sync_engine, "commit")
        def on_commit(connection: Connection) -> None:
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
                refuse_rolled_back(connection.connection)

    @event.listens_for(engine.sync_engine, "invalidate")
    def on_invalidate(connection: Any, *_: Any) -> None:
        """Stop what a cancelled task left running, and let go of its locks.

        The private names are aiosqlite's; SQLAlchemy's own dialect uses both.
        """
        raw = connection.driver_connection
        if raw._connection is not None:
            raw._connection.interrupt()
            raw._tx.put_nowait((None, partial(roll_back, raw._connection)))

    replace_lost_connections(engine, is_lost, ping_after_idle=ping_after_idle)


def roll_back(connection: TrackedConnection) -> None:
    """Roll back, after what was interrupted: its rows need not have been read to the end."""
    for cursor in [*connection.cursors]:
        cursor.close()
    connection.rollback()


def is_useless(error: BaseException, *, writes: bool) -> bool:  # noqa: ARG001 - a file stays
    """Return whether the error means that no connection of the pool can be used any more."""
    return False


def identify(file: str | None) -> tuple[int, int] | None:
    try:
        status = os.stat(file or "")
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def fold_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def failure_of(error: DBAPIError) -> Failure | None:
    """Return what went wrong, or `None` for what is a bug of the service."""
    name = getattr(error.driver_exception, "sqlite_errorname", "")
    for beginning, failure in FAILURES.items():
        if name.startswith(beginning):
            return failure
    return None


def lacks_table_or_column(error: DBAPIError) -> bool:
    """Return whether a statement names a table or a column that does not exist."""
    return UNKNOWN_NAME.match(str(error.driver_exception)) is not None


def details_of(error: DBAPIError) -> dict[str, str]:
    """Return what may be logged of an error: `code`, `constraint`, `column` and `reason`.

    Each is there if the database tells it. None has values of the request or of a row.
    """
    code = getattr(error.driver_exception, "sqlite_errorname", "")
    reason = str(error.driver_exception)  # SQLite writes no values into its messages
    details = {"code": code, "reason": reason}
    subject = reason.partition(" constraint failed: ")[2]
    if subject.startswith("index '"):
        details["constraint"] = subject[len("index '") : -1]
    elif code == "SQLITE_CONSTRAINT_CHECK":
        details["constraint"] = subject
    elif subject:
        details["column"] = ", ".join(name.rpartition(".")[2] for name in subject.split(", "))
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


def returns_utc(dialect: Dialect) -> bool:  # noqa: ARG001 - another driver does
    """Return whether instants come from the driver as datetimes in UTC."""
    return False


async def fetch(
    connection: Any, statement: str, parameters: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    """Execute a query on the driver's own connection and return its rows, or raise `ERRORS`."""
    return await connection.execute_fetchall(statement, parameters)  # type: ignore[no-any-return]


def is_in_transaction(connection: Any) -> bool:  # noqa: ARG001 - another database needs it
    """Return true: a transaction is begun as soon as there is a connection."""
    return True


async def begin(connection: PoolProxiedConnection) -> None:
    """Begin a transaction with the write lock, or raise `ERRORS`."""
    raw: Any = connection.driver_connection
    await raw.execute_fetchall("BEGIN IMMEDIATE")
    connection.info["has_begun"] = True


async def commit(connection: PoolProxiedConnection) -> None:
    """Commit the transaction, or raise `ERRORS`."""
    refuse_rolled_back(connection)
    raw: Any = connection.driver_connection
    await raw.commit()
    connection.info.pop("has_begun", None)


def refuse_rolled_back(connection: PoolProxiedConnection) -> None:
    """Raise an error if SQLite has ended the transaction, because the disk was full for example.

    To commit what comes after that would lose what came before.
    """
    raw: Any = connection.driver_connection
    if not raw.in_transaction:
        raise PendingRollbackError("An error of SQLite has rolled the transaction back.")


async def insert_many(
    connection: Any,
    table: Table,  # noqa: ARG001 - other databases need it
    columns: Sequence[str],  # noqa: ARG001 - other databases need it
    statement: str,
    records: Iterable[Sequence[Any]],
) -> None:
    """Insert the records by one statement that is executed for each, or raise `ERRORS`."""
    await connection.executemany(statement, records)


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
    """Return the condition that the column is NULL, as it is in most rows.

    Otherwise SQLite would find all these rows by an index of the column, and sort them for each
    page: without statistics it takes any index for selective, with most statistics, too.
    """
    return func.likely(column.is_(None))


def partial_index(where: str) -> dict[str, Any]:
    """Options for an `Index` of only the rows for which the condition `where` is true."""
    return {"sqlite_where": text(where)}


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:  # noqa: ARG001 - others need it
    """Let one process migrate at a time: BEGIN IMMEDIATE does, for the whole of an upgrade."""
    yield


def check_foreign_keys(*, ctx: Any, **_: Any) -> None:
    """Refuse a revision, and roll the upgrade back, if rows refer to rows that are gone."""
    if ctx.as_sql:
        return
    if broken := ctx.connection.execute(text("PRAGMA foreign_key_check")).all():
        raise ValueError(f"The migration breaks references, the first of them: {broken[0]}")


def normalized_default(default: str | None) -> str | None:
    if default is None:
        return None
    default = default.strip().lower()
    while default.startswith("(") and default.endswith(")"):
        default = default[1:-1].strip()
    default = {"false": "0", "true": "1"}.get(default, default).strip("'")
    try:
        return str(Decimal(default).normalize())
    except InvalidOperation:
        return default


def default_differs(
    _: Any, __: Any, ___: Any, found: str | None, ____: Any, rendered: str | None
) -> bool:
    """SQLite keeps the text of a default as it was written, `(false)` or `0` or `'0'`."""
    return normalized_default(found) != normalized_default(rendered)


MIGRATION_OPTIONS: dict[str, Any] = {
    "compare_server_default": default_differs,
    "on_version_apply": check_foreign_keys,
    "render_as_batch": True,  # SQLite cannot alter most things: the table is copied instead
    "transactional_ddl": True,
}
