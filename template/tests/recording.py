"""Append the statements of each request to the file in TEST_STATEMENTS_FILE.

`uv run app db analyze FILE` explains them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import direct
from app.core.command_line.analyzing.recordings import STATEMENTS_FILE, as_line
from app.core.statement_endpoint import find_route

numbers = count(1)
# What the request that is running has sent to the database.
sent: ContextVar[list[tuple[str, object]] | None] = ContextVar("sent", default=None)


def note(sql: str, parameters: object) -> None:
    if (statements := sent.get()) is not None:
        statements.append((sql, parameters))


def note_execution(_: Connection, __: Any, sql: str, parameters: Any, *___: Any) -> None:
    note(sql, parameters)


def record(engines: Iterable[AsyncEngine]) -> None:
    """Note the statements of these engines, if there is a file to which to write them."""
    if STATEMENTS_FILE not in os.environ:
        return
    direct.recorders.append(note)
    for engine in engines:
        event.listen(engine.sync_engine, "before_cursor_execute", note_execution)


@contextmanager
def recorded(app: Any, method: str, path: str) -> Iterator[None]:
    """Write what is sent within the block, in one go: several processes may write."""
    file = os.environ.get(STATEMENTS_FILE)
    if file is None:
        yield
        return
    statements: list[tuple[str, object]] = []
    token = sent.set(statements)
    try:
        yield
    finally:
        sent.reset(token)
        route, request = find_route(app, method, path), f"{os.getpid()}-{next(numbers)}"
        lines = "".join(as_line(route or "", request, *each) for each in statements)
        with Path(file).open("ab", buffering=0) as recording:
            recording.write(lines.encode())
