"""Everything about MySQL, MariaDB and aiomysql that the rest of the service need not know."""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import aiomysql  # type: ignore[import-untyped]
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]
from pymysql.converters import (  # type: ignore[import-untyped]
    conversions,
    convert_datetime,
)
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Table,
    event,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.schema import CreateTable

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

DEFAULT_URL = "mysql+aiomysql://app:app@localhost:3306/app"
# The role that owns the tables, as compose.yaml makes it.
DEFAULT_MIGRATION_URL = "mysql+aiomysql://migrator:migrator@localhost:3306/app"

# What `fetch` raises if the database reports an error or cannot be reached.
ERRORS: tuple[type[Exception], ...] = (aiomysql.Error, OSError)

# The type of the driver's numbers, which SQLAlchemy asks for when it converts them.
RESULT_TYPE: Any = None


STREAM_OPTIONS: dict[str, Any] = {}

logger = logging.getLogger(__name__)
TLS_MODES = ("DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
URL_OPTIONS: dict[str, type | tuple[str, ...]] = {
    "auth_plugin": str,
    "charset": ("utf8", "utf8mb4"),  # the second includes the first
    "connect_timeout": int,
    "program_name": str,
    "reconnect": ("true",),  # the pool does
    "ssl": ("true",),
    "ssl_ca": Path,
    "ssl_cert": Path,
    "ssl_key": Path,
    "ssl_mode": TLS_MODES,
    "ssl_verify_cert": ("true",),
    "ssl_verify_identity": ("true",),
    "unix_socket": str,
}
TLS_OFFERED = 2048  # among the server's capabilities
TLS_FAILED = 2026

MIGRATION_LOCK = "LEFT(CONCAT('migrate:', DATABASE()), 64)"  # such locks are the whole server's
MIGRATION_LOCK_SECONDS = 300
MIGRATION_PAUSE_SECONDS = 1.0

LOCK_TIMEOUT = 1205
NO_SUCH_NAME = 1305
NO_SUCH_DATABASE = 1049
DEADLOCK = 1213
SERVER_LOST = 2013
READ_ONLY = {1290, 1792, 1836}  # the server, by an option; the session; the server
WRONG_VALUE = 1366
UNKNOWN_NAMES = {1146, 1054}  # a table, a column
YEAR_SECONDS = 31_536_000
ROWS_IN_STATEMENT = 1000  # aiomysql writes their SQL without leaving the event loop to others
FAILURES = {
    1062: Failure.DUPLICATE,
    1586: Failure.DUPLICATE,
    1451: Failure.REFERENCE,
    1452: Failure.REFERENCE,
    1048: Failure.MISSING_VALUE,
    1364: Failure.MISSING_VALUE,
    3819: Failure.RULE,  # MySQL
    4025: Failure.RULE,  # MariaDB
    1264: Failure.INVALID_VALUE,
    1265: Failure.INVALID_VALUE,
    1292: Failure.INVALID_VALUE,
    1366: Failure.INVALID_VALUE,
    1406: Failure.INVALID_VALUE,
    1690: Failure.INVALID_VALUE,
    1020: Failure.BUSY,
    1205: Failure.BUSY,
    1213: Failure.BUSY,
    3572: Failure.BUSY,
    1317: Failure.TIMEOUT,
    1969: Failure.TIMEOUT,  # MariaDB
    3024: Failure.TIMEOUT,  # MySQL
    1021: Failure.UNAVAILABLE,
    1040: Failure.UNAVAILABLE,
    1053: Failure.UNAVAILABLE,
    1114: Failure.UNAVAILABLE,
    1203: Failure.UNAVAILABLE,
    1927: Failure.UNAVAILABLE,
    2002: Failure.UNAVAILABLE,
    2003: Failure.UNAVAILABLE,
    2006: Failure.UNAVAILABLE,
    SERVER_LOST: Failure.UNAVAILABLE,
}

KEY = re.compile(r"for key '(?:[^']*\.)?([^'.]+)'$")
CONSTRAINT = re.compile(r"(?:CONSTRAINT `|Check constraint ')([^`']+)")
REQUIRED = re.compile(r"^(?:Column|Field) '([^']+)'")
COLUMN = re.compile(r"column (?:`.*`\.)?[`']([^`']+)[`'] at row \d+$")
# Where a message names what was violated. Others may have a value that looks like a name.
NAMES = {
    1062: ("constraint", KEY),
    1586: ("constraint", KEY),
    1451: ("constraint", CONSTRAINT),
    1452: ("constraint", CONSTRAINT),
    3819: ("constraint", CONSTRAINT),
    4025: ("constraint", CONSTRAINT),
    1048: ("column", REQUIRED),
    1364: ("column", REQUIRED),
    1264: ("column", COLUMN),
    1265: ("column", COLUMN),
    1366: ("column", COLUMN),
    1406: ("column", COLUMN),
}
# Messages without values: access denied, unknown databases, columns and tables, …
PLAIN_MESSAGES = {1044, 1045, 1049, 1054, 1146}
# … and those of failures, except for these.
HAVE_VALUES = {None, Failure.DUPLICATE, Failure.INVALID_VALUE}


@compiles(DateTime, "mysql", "mariadb")
def keep_microseconds(*_: Any, **__: Any) -> str:
    """A plain DATETIME cuts them off."""
    return "DATETIME(6)"


@compiles(CreateTable, "mysql", "mariadb")
def compare_text_exactly(element: CreateTable, compiler: Any, **options: Any) -> str:
    """Make `A` and `a`, `é` and `e` different values, also for unique constraints."""
    statement: str = compiler.visit_create_table(element, **options).rstrip()
    options_of_table = {name.partition("_")[2].lower() for name in element.element.kwargs}
    if options_of_table & {"collate", "default_collate"}:
        return statement
    return f"{statement} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"


def check_url(url: URL) -> URL:
    """Return the URL with MySQL's names for its options.

    Raises `ValueError` if it names another database, or has an option that cannot be honored.
    """
    backend, _, driver = url.drivername.partition("+")
    if backend not in {"mysql", "mariadb"} or driver not in {"", "aiomysql"}:
        raise ValueError("must start with mysql+aiomysql:// or mariadb+aiomysql://")
    if not url.database:
        raise ValueError("must name a database: mysql+aiomysql://user:password@host:3306/name")
    options: dict[str, str] = {}
    for given, values in url.normalized_query.items():
        name = "ssl_mode" if given == "sslmode" else given.replace("-", "_")
        options[name] = values[-1].upper() if name == "ssl_mode" else values[-1]
    check_options(options, URL_OPTIONS)
    strict = options.keys() & {"ssl", "ssl_verify_cert", "ssl_verify_identity"}
    if strict and options.get("ssl_mode", "VERIFY_IDENTITY") != "VERIFY_IDENTITY":
        raise ValueError(f"has contradicting options: ssl_mode and {', '.join(sorted(strict))}")
    tls_context(options)
    return url.set(drivername=f"{backend}+aiomysql", query=options)


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext | None:
    """What the URL asks for; without an `ssl_mode`, the strictest: VERIFY_IDENTITY."""
    mode = options.get("ssl_mode", "VERIFY_IDENTITY")
    if mode == "DISABLED" or not any(name.startswith("ssl") for name in options):
        return None
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        context.check_hostname = mode == "VERIFY_IDENTITY"
        if mode == "REQUIRED" and "ssl_ca" not in options:
            context.verify_mode = ssl.CERT_NONE
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except ssl.SSLError as error:
        raise ValueError(f"names a file that is no certificate or key: {error}") from None
    return context


class CheckedConnection(aiomysql.Connection):  # type: ignore[misc]
    """Raise errors where aiomysql goes on: without TLS, after a deadlock, and without an answer.

    The server, or a proxy in between, may offer no TLS. A deadlock rolls the whole transaction
    back: to commit what comes after it would lose what came before. SQLAlchemy waits for the
    answer to ROLLBACK even if the task is cancelled: not longer here than `rollback_timeout`
    seconds, after which the connection is closed.
    """

    is_rolled_back = False
    rollback_timeout: float | None = None

    async def _request_authentication(self) -> None:
        if self._ssl_context and not self.server_capabilities & TLS_OFFERED:
            raise aiomysql.OperationalError(TLS_FAILED, "The server does not offer TLS.")
        await super()._request_authentication()

    async def query(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().query(*args, **options)
        except aiomysql.OperationalError as error:
            self.is_rolled_back = self.is_rolled_back or error.args[0] == DEADLOCK
            raise

    async def commit(self) -> None:
        if self.is_rolled_back:
            await self.rollback()  # what came after it
            raise aiomysql.OperationalError(DEADLOCK, "A deadlock rolled the transaction back.")
        await super().commit()

    async def rollback(self) -> None:
        try:
            async with asyncio.timeout(self.rollback_timeout):
                await super().rollback()
        except TimeoutError as error:
            self.close()
            raise aiomysql.OperationalError(SERVER_LOST, "No answer to ROLLBACK.") from error
        self.is_rolled_back = False


async def connect(*, rollback_timeout: float | None = None, **options: Any) -> CheckedConnection:
    connection = CheckedConnection(**options)
    connection.rollback_timeout = rollback_timeout
    try:
        await connection._connect()
    except BaseException:
        connection.close()  # aiomysql does not if the task is cancelled
        raise
    return connection


def connect_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for aiomysql."""
    names = ("auth_plugin", "program_name", "unix_socket")
    arguments = {name: options[name] for name in names if name in options}
    if timeout := int(options.get("connect_timeout", 0)):
        arguments["connect_timeout"] = timeout
    if context := tls_context(options):
        arguments["ssl"] = context
    return arguments


def read_datetime(text: str) -> Any:
    """Return the datetime, which PyMySQL's own function does in ten times the time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # such as 0000-00-00
        return convert_datetime(text)


CONVERSIONS = {
    **conversions,
    FIELD_TYPE.DATETIME: read_datetime,
    FIELD_TYPE.TIMESTAMP: read_datetime,
}


def engine_options(
    purpose: Literal["write", "read", "migrate"],
    *,
    connect_timeout: float,
    statement_timeout: float | None,
    lock_timeout: float | None,
) -> dict[str, Any]:
    """Options for `create_async_engine`. Timeouts in seconds; `None` is no limit.

    The comments are code: `/*M!` runs on MariaDB only, `/*!80000` on MySQL only. The server
    limits statements, because it does not notice when a client stops waiting for one.
    """
    setup = "SET SESSION time_zone = '+00:00'"
    setup += ", sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION'"
    setup += f", innodb_lock_wait_timeout = {max(1, round(lock_timeout or YEAR_SECONDS))}"
    setup += f" /*M! , max_statement_time = {statement_timeout or 0} */"
    setup += f" /*!80000 , max_execution_time = {round((statement_timeout or 0) * 1000)} */"
    if purpose == "migrate":
        setup += f", lock_wait_timeout = {max(1, round(lock_timeout or YEAR_SECONDS))}"
    if purpose == "read":
        setup += " /*M! , tx_read_only = 1 */ /*!80000 , transaction_read_only = 1 */"
    options: dict[str, Any] = {
        "connect_args": {
            "charset": "utf8mb4",
            "connect_timeout": connect_timeout,
            "rollback_timeout": statement_timeout and connect_timeout,
            "async_creator_fn": connect,
            "conv": CONVERSIONS,
            "init_command": setup,
        },
        # The default, REPEATABLE READ, shows a transaction the database as it was at its start.
        "isolation_level": "READ COMMITTED",
    }
    if purpose == "read":
        # A SELECT is one round trip instead of three, and sees what READ COMMITTED sees.
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    return options


def prepare(
    engine: AsyncEngine,
    purpose: Literal["write", "read", "migrate"],
    *,
    ping_after_idle: float,
    url_options: Mapping[str, Any] = {},
) -> None:
    """Connect with the options of the URL, validate connections, and find out which are useless."""
    from_url = connect_arguments(url_options)

    @event.listens_for(engine.sync_engine, "do_connect")
    def on_connect(dialect: Any, _: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*args, **{**kwargs, **from_url})
        except aiomysql.OperationalError as error:
            if error.__cause__ is None:
                raise
            code, message = error.args  # without the reason, such as an invalid certificate
            raise aiomysql.OperationalError(code, f"{message}: {error.__cause__}") from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        """A disconnect makes the pool replace all its connections, after a failover for example."""
        error = context.original_exception
        if context.connection is None or is_useless(error, writes=purpose == "write"):
            context.is_disconnect = True

    if purpose == "migrate":

        @event.listens_for(engine.sync_engine, "do_execute")
        def on_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
            """Repeat what waited too long for a lock: what came before it may be committed."""
            for _ in range(context.execution_options.get("lock_attempts", 1) - 1):
                try:
                    cursor.execute(statement, parameters)
                except engine.dialect.loaded_dbapi.OperationalError as error:
                    if error.args[0] != LOCK_TIMEOUT or rolls_back(cursor):
                        raise
                    logger.warning("Another transaction holds a lock that the migration needs.")
                    time.sleep(MIGRATION_PAUSE_SECONDS)
                else:
                    return True
            return False  # SQLAlchemy executes it

    def is_lost(record: Any) -> bool:
        connection = record.driver_connection
        # A private name, the one by which aiomysql's own pool finds out.
        return bool(connection.closed or connection._reader.at_eof())

    replace_lost_connections(engine, is_lost, ping_after_idle=ping_after_idle)


def is_useless(error: BaseException, *, writes: bool) -> bool:
    """Return whether the error means that no connection of the pool can be used any more."""
    code = next(iter(error.args), None)
    return code == NO_SUCH_DATABASE or (writes and code in READ_ONLY)


def rolls_back(cursor: Any) -> bool:
    """Whether the server ends the transaction when a statement has waited too long for a row."""
    cursor.execute("SELECT @@innodb_rollback_on_timeout")
    return bool(cursor.fetchone()[0])


def failure_of(error: DBAPIError) -> Failure | None:
    """Return what went wrong, or `None` for what is a bug of the service."""
    cause = error.driver_exception
    code, *details = cause.args or (None,)
    if code == NO_SUCH_NAME and str(details).startswith("['SAVEPOINT"):
        return Failure.BUSY  # a deadlock has rolled the whole transaction back, savepoints and all
    if code == WRONG_VALUE and not str(details).startswith("['Incorrect string"):
        return None  # a text for a number: a value of another Python type than the column's
    if code in FAILURES:
        return FAILURES[code]
    if error.connection_invalidated or isinstance(cause, OSError):
        return Failure.UNAVAILABLE
    return None


def lacks_table_or_column(error: DBAPIError) -> bool:
    """Return whether a statement names a table or a column that does not exist."""
    return next(iter(error.driver_exception.args), None) in UNKNOWN_NAMES


def details_of(error: DBAPIError) -> dict[str, str]:
    """Return what may be logged of an error: `code`, `constraint`, `column` and `reason`.

    Each is there if the database tells it. None has values of the request or of a row.
    """
    code, *texts = error.driver_exception.args or ("",)
    message = " ".join(map(str, texts))
    details = {"code": str(code)}
    if code in NAMES:
        kind, pattern = NAMES[code]
        if found := pattern.search(message):
            details[kind] = found[1]
    if code in PLAIN_MESSAGES or FAILURES.get(code) not in HAVE_VALUES:
        details["reason"] = message
    return {name: value for name, value in details.items() if value}


def upsert(
    target: type[DeclarativeBase] | Table, *, key: Sequence[str], update: Sequence[str]
) -> Any:
    """Insert, or update the columns `update` of the row that has the same `key`.

    `key` are the columns of a unique constraint; the database looks at all of them, so let the
    table have only one besides its primary key. Without columns to update, an existing row
    stays as it is. Pass the rows as parameters, sorted by the key, none of them twice.
    """
    statement = insert(target)
    columns = statement.table.columns
    if not update:
        return statement.on_duplicate_key_update({key[0]: columns[key[0]]})
    changing = (column.name for column in columns if column.onupdate is not None)
    names = {*update, *changing}
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in names})


def returns_utc(dialect: Dialect) -> bool:  # noqa: ARG001 - another driver does
    """Return whether instants come from the driver as datetimes in UTC."""
    return False


async def fetch(
    connection: Any, statement: str, parameters: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    """Execute a query on the driver's own connection and return its rows, or raise `ERRORS`."""
    async with connection.cursor() as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()  # type: ignore[no-any-return]


def is_in_transaction(connection: Any) -> bool:  # noqa: ARG001 - another database needs it
    """Return true: the server begins a transaction by itself."""
    return True


async def begin(connection: PoolProxiedConnection) -> None:
    """Begin a transaction, for databases that do not begin it by themselves."""


async def commit(connection: PoolProxiedConnection) -> None:
    """Commit the transaction, or raise `ERRORS`."""
    raw: Any = connection.driver_connection
    await raw.commit()


async def insert_many(
    connection: Any,
    table: Table,  # noqa: ARG001 - other databases need it
    columns: Sequence[str],  # noqa: ARG001 - other databases need it
    statement: str,
    records: Iterable[Sequence[Any]],
) -> None:
    """Insert the records, many with each statement, or raise `ERRORS`."""
    left = iter(records)
    async with connection.cursor() as cursor:
        while part := list(islice(left, ROWS_IN_STATEMENT)):
            await cursor.executemany(statement, part)


async def update_returning_ids(
    session: AsyncSession,
    model: Any,
    values: Mapping[str, Any],
    *where: ColumnElement[bool],
) -> Sequence[Any]:
    """Lock the rows that match, update them, and return their ids: UPDATE has no RETURNING."""
    ids = (await session.scalars(select(model.id).where(*where).with_for_update())).all()
    await session.execute(update(model).where(model.id.in_(ids)).values(**values))
    return ids


def null_in_most_rows(column: Any) -> ColumnElement[bool]:
    """Return the condition that the column is NULL, as it is in most rows."""
    return column.is_(None)  # type: ignore[no-any-return]


def partial_index(where: str) -> dict[str, Any]:  # noqa: ARG001 - other databases need it
    """Options for an `Index` of only some rows: there is none here, the index has all rows."""
    return {}


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Let one process migrate at a time. Raises `TimeoutError` after five minutes of waiting."""
    taken = connection.scalar(text(f"SELECT GET_LOCK({MIGRATION_LOCK}, {MIGRATION_LOCK_SECONDS})"))
    connection.commit()
    if taken != 1:
        raise TimeoutError("Another process has been migrating this database for five minutes.")
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text(f"SELECT RELEASE_LOCK({MIGRATION_LOCK})"))
        connection.commit()


def normalized_default(default: str | None) -> str | None:
    if default is None:
        return None
    default = default.strip().lower()
    while default.startswith("(") and default.endswith(")"):
        default = default[1:-1].strip()
    default = default.replace("current_timestamp()", "current_timestamp").strip("'")
    default = {"false": "0", "true": "1"}.get(default, default)
    try:
        return str(Decimal(default).normalize())
    except InvalidOperation:
        return default


def default_differs(
    _: Any, __: Any, ___: Any, found: str | None, ____: Any, rendered: str | None
) -> bool:
    """The server writes defaults in its own way: `false` as `0`, a text in quotes or without."""
    return normalized_default(found) != normalized_default(rendered)


MIGRATION_OPTIONS: dict[str, Any] = {"compare_server_default": default_differs}
