"""The databases of a copy: how to connect to each kind, as the source and as the target.

The service itself knows one database, in `app/core/driver.py`. A copy is between any two.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.dml import Insert

from data_copy.errors import DataCopyError, explained
from data_copy.values import load_json

Role = Literal["source", "target"]
DAY_SECONDS = 86_400
CONNECT_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One kind of database: the statements for it."""

    package: str
    connect_args: dict[str, Any]
    url_options: frozenset[str]
    """What its driver takes as it is written. Others, such as TLS, would be ignored or fail."""
    setup: dict[Role, tuple[str, ...]]
    """Run on a new connection: the source refuses to write, no timeout ends a statement."""
    begin: dict[Role, str] = field(default_factory=dict)
    """Begins a transaction, where the driver does not. That of the source is a snapshot."""
    lock: tuple[str, str] | None = None
    """Takes a lock of this database, not of its server; asks elsewhere whether it is held."""
    before_emptying: tuple[str, ...] = ()
    after_emptying: tuple[str, ...] = ()
    set_counter: str | None = None
    """Sets the next key above the largest, where the database does not do so by itself."""


POSTGRESQL = Backend(
    package="asyncpg",
    url_options=frozenset({"host", "passfile", "password", "port", "ssl", "user"}),
    connect_args={"timeout": CONNECT_SECONDS},
    setup={
        "source": (
            "SET default_transaction_read_only = on",
            "SET default_transaction_isolation = 'repeatable read'",
            "SET statement_timeout = 0",
            "SET idle_in_transaction_session_timeout = 0",
        ),
        "target": ("SET statement_timeout = 0", "SET lock_timeout = '60s'"),
    },
    lock=("SELECT pg_try_advisory_lock(:key)", "SELECT NOT pg_try_advisory_lock(:key)"),
    set_counter="SELECT setval(pg_get_serial_sequence(:table, :column), max({column}))"
    " FROM {table} HAVING max({column}) > 0",
)

# Locks belong to the server, so their names contain the database's. The comments are executed:
# `/*M!` by MariaDB only, `/*!80000` by MySQL only. Without NO_AUTO_VALUE_ON_ZERO a key 0 would be
# replaced by the next number.
MYSQL_LOCK = "SHA2(CONCAT(:key, DATABASE()), 224)"
MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00'"
    ", sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'"
    f", wait_timeout = {DAY_SECONDS}, net_write_timeout = {DAY_SECONDS}"
    " /*M! , max_statement_time = 0, max_recursive_iterations = 4294967295 */"
    " /*!80000 , max_execution_time = 0, cte_max_recursion_depth = 4294967295 */"
)
MYSQL = Backend(
    package="aiomysql",
    url_options=frozenset({"charset", "unix_socket"}),
    connect_args={"charset": "utf8mb4", "connect_timeout": CONNECT_SECONDS},
    setup={
        "source": (
            MYSQL_SESSION,
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        ),
        "target": (MYSQL_SESSION,),
    },
    begin={"source": "START TRANSACTION WITH CONSISTENT SNAPSHOT"},
    lock=(
        f"SELECT GET_LOCK({MYSQL_LOCK}, 0)",
        f"SELECT IS_USED_LOCK({MYSQL_LOCK}) IS NOT NULL",
    ),
    # Otherwise one statement cannot delete rows that refer to rows of their own table.
    before_emptying=("SET SESSION foreign_key_checks = 0",),
    after_emptying=("SET SESSION foreign_key_checks = 1",),
)

SQLITE = Backend(
    package="aiosqlite",
    url_options=frozenset(),
    connect_args={"isolation_level": None, "timeout": 60},
    setup={"source": ("PRAGMA query_only = ON",), "target": ("PRAGMA foreign_keys = ON",)},
    begin={"source": "BEGIN", "target": "BEGIN IMMEDIATE"},
)

# By the name that a URL begins with.
BACKENDS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}


class ExactInsert(Insert):
    """An INSERT that also writes columns that are GENERATED ALWAYS AS IDENTITY."""

    inherit_cache = True


@compiles(ExactInsert, "postgresql")
def override_identity(statement: ExactInsert, compiler: Any, **options: Any) -> str:
    written: str = compiler.visit_insert(statement, **options)
    return written.replace(") VALUES (", ") OVERRIDING SYSTEM VALUE VALUES (", 1)


def parse_url(written: str, role: Role) -> URL:
    """Return the URL with its driver. Raises `DataCopyError`, which does not repeat the URL."""
    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise DataCopyError(f"The URL of the {role} is not a database URL.") from None
    name, _, driver = url.drivername.partition("+")
    name = "postgresql" if name == "postgres" else name
    if name not in BACKENDS or driver not in {"", BACKENDS[name].package}:
        known = ", ".join(f"{name}+{backend.package}://" for name, backend in BACKENDS.items())
        raise DataCopyError(f"The URL of the {role} must start with one of {known}")
    if url.database in {None, "", ":memory:"}:
        raise DataCopyError(f"The URL of the {role} names no database.")
    if name == "postgresql" and (mode := url.query.get("sslmode")):
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    url = url.difference_update_query(["synchronous"])  # SQLite's: a copy commits once
    if unknown := sorted(url.query.keys() - BACKENDS[name].url_options):
        raise DataCopyError(f"The URL of the {role} has an option unknown to a copy: {unknown[0]}.")
    return url.set(drivername=f"{name}+{BACKENDS[name].package}")


def backend_of(url: URL) -> Backend:
    return BACKENDS[url.get_backend_name()]


def create_engine(url: URL, role: Role) -> AsyncEngine:
    backend = backend_of(url)
    if backend is SQLITE and not Path(url.database or "").is_file():
        raise DataCopyError(f"The {role} cannot be reached: there is no file {url.database}.")
    try:
        engine = create_async_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            json_deserializer=load_json,
            connect_args=backend.connect_args,
        )
    except ModuleNotFoundError as error:
        raise DataCopyError(
            f"The {role} needs the package {error.name}: uv run --group copy app data copy …"
        ) from None

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for statement in backend.setup[role]:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        if statement := backend.begin.get(role):
            connection.exec_driver_sql(statement)

    return engine


@asynccontextmanager
async def connect(url: URL, role: Role) -> AsyncIterator[AsyncConnection]:
    """One connection for the whole copy. Raises `DataCopyError` if there is none."""
    engine = create_engine(url, role)
    with explained(f"The {role} cannot be reached"):
        connection = await engine.connect()
    try:
        yield connection
    except BaseException:
        await connection.invalidate()  # otherwise some drivers first read the remaining rows
        raise
    finally:
        await connection.close()
        await engine.dispose()
