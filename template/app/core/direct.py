"""Compile a query once, and call the driver itself: past SQLAlchemy's cursor and results.

`GET /users/{id}` takes a quarter less time than with SQLAlchemy's cursor.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Dialect, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.base import ExecutableOption

from app.core import driver, statement_log

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]

OPTIONS: list[ExecutableOption] = []  # of every query; `soft_delete.py` adds one
listeners: list[Callable[[str], None]] = []  # are called with each statement
recorders: list[Callable[[str, object], None]] = []  # are called with its parameters, too


class DirectQuery:
    """The SQL of a query, with the conversions of its parameters and results.

    `is_possible` is false for lists of values, which SQLAlchemy renders at each execution, for
    values that are computed at each execution, for execution options such as `with_deleted`, and
    for locks, which a read session refuses.
    """

    def __init__(self, query: Select[Any], dialect: Dialect) -> None:
        compiled: Any = query.options(*OPTIONS).compile(dialect=dialect)
        self.sql = str(compiled)
        binds = [compiled.binds[name] for name in compiled.positiontup or ()]
        self.is_possible = (
            not compiled.post_compile_params
            and not any(bind.callable for bind in binds)
            and not query.get_execution_options()
            and getattr(query, "_for_update_arg", None) is None
        )
        self.defaults = {bind.key: bind.value for bind in binds if not bind.required}
        self.binds = [
            (bind.key, bind.type.dialect_impl(dialect).bind_processor(dialect)) for bind in binds
        ]
        types = (each["type"].dialect_impl(dialect) for each in query.column_descriptions)
        processors = (each.result_processor(dialect, driver.RESULT_TYPE) for each in types)
        self.converters = [pair for pair in enumerate(processors) if pair[1] is not None]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        values = {**self.defaults, **values}
        return [
            values[name] if process is None else process(values[name])
            for name, process in self.binds
        ]

    def convert(self, rows: Rows) -> Rows:
        if not self.converters:
            return rows
        converted = [list(row) for row in rows]
        for index, convert in self.converters:
            for row in converted:
                row[index] = convert(row[index])
        return converted


def announce(engine: Any, sql: str, parameters: object) -> None:
    """Tell the listeners, and the logs if `DATABASE_ECHO` is set, as SQLAlchemy's engine does."""
    for listener in listeners:
        listener(sql)
    for recorder in recorders:
        recorder(sql, parameters)
    if engine.echo:
        statement_log.note(sql, parameters)
        # The engine's own logger, as SQLAlchemy sets the level of all its others to WARNING.
        getattr(engine, "sync_engine", engine).logger.info("%s %r", sql, parameters)


async def call(
    engine: Any,
    connection: PoolProxiedConnection,
    sql: str,
    function: Callable[..., Awaitable[T]],
    *arguments: Any,
    writes: bool,
) -> T:
    """Await a function of the driver. Raise SQLAlchemy's errors in place of the driver's.

    A connection that is lost, or was left within the call, is not used again. If the caller
    `writes`, one to a server that only reads is useless.
    """
    try:
        return await function(*arguments)
    except driver.ERRORS as error:
        raise as_database_error(engine, connection, sql, error, writes=writes) from error
    except BaseException:
        connection.invalidate()
        raise


def as_database_error(
    engine: Any,
    connection: PoolProxiedConnection,
    sql: str,
    error: Exception,
    *,
    writes: bool,
) -> DBAPIError:
    dialect: Any = engine.dialect
    dbapi = dialect.loaded_dbapi
    original = error
    if not isinstance(error, dbapi.Error):
        is_refused = str(getattr(error, "sqlstate", "")).startswith("23")
        original = (dbapi.IntegrityError if is_refused else dbapi.Error)(str(error), error)
        original.__cause__ = error
    raw = connection.dbapi_connection
    lost = (
        isinstance(error, OSError)
        or dialect.is_disconnect(original, raw, None)
        or driver.is_useless(error, writes=writes)
    )
    if lost:
        engine.pool._invalidate(connection, error)  # noqa: SLF001 - all older ones, too
    found = DBAPIError.instance(
        sql, None, original, dbapi.Error, True, connection_invalidated=lost, dialect=dialect
    )
    return cast("DBAPIError", found)
