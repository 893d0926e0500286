"""With DATABASE_ECHO, a service keeps what its requests send to the database."""

from collections import deque
from contextvars import ContextVar
from typing import Any, NamedTuple

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.redaction import redact_text

LONGEST_STATEMENT = 10_000  # characters; longer ones are inserts of many rows
LONGEST_VALUES = 1000
UNKNOWN = "…"


class Kept(NamedTuple):
    """`number` identifies the request. `values` is the `repr` of the parameters."""

    number: int
    method: str
    path: str
    sql: str
    values: str


# Where to keep what the request that is running sends to the database, and which request it is.
current: ContextVar[tuple[deque[Kept], int, str, str] | None] = ContextVar("current", default=None)


def note(sql: str, parameters: object) -> None:
    """Keep a statement with its values, if a request sends it."""
    if (request := current.get()) is None or len(sql) > LONGEST_STATEMENT:
        return
    kept, number, method, path = request
    values = redact_text(repr(parameters))
    shown = values if len(values) <= LONGEST_VALUES else UNKNOWN
    kept.append(Kept(number, method, path, sql, shown))


def listen(engine: AsyncEngine) -> None:
    """Note what SQLAlchemy executes. What goes past its cursor is noted by `announce`."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def on_execution(
        _: Connection, __: Any, sql: str, parameters: Any, ___: Any, executemany: bool
    ) -> None:
        note(sql, parameters[0] if executemany else parameters)
