"""Run queries concurrently. Tasks must not share a session, so each query gets its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from app.core.database import Database, ReadSession

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")


@overload
async def fetch_together(
    database: Database,
    a: Callable[[ReadSession], Awaitable[A]],
    b: Callable[[ReadSession], Awaitable[B]],
    /,
    *,
    limit: int = ...,
) -> tuple[A, B]: ...
@overload
async def fetch_together(
    database: Database,
    a: Callable[[ReadSession], Awaitable[A]],
    b: Callable[[ReadSession], Awaitable[B]],
    c: Callable[[ReadSession], Awaitable[C]],
    /,
    *,
    limit: int = ...,
) -> tuple[A, B, C]: ...
@overload
async def fetch_together(
    database: Database, /, *queries: Callable[[ReadSession], Awaitable[T]], limit: int = ...
) -> tuple[T, ...]: ...
async def fetch_together(
    database: Database, /, *queries: Callable[[ReadSession], Awaitable[Any]], limit: int = 3
) -> tuple[Any, ...]:
    """Run each query in its own read session, at most `limit` at once, and return the results.

    If a query fails, the others are cancelled and its error is raised. Do not hold a session
    while calling this: requests that hold one connection and wait for a second one can deadlock.
    """
    places = asyncio.Semaphore(limit)

    async def fetch(query: Callable[[ReadSession], Awaitable[Any]]) -> Any:
        async with places:
            return await database.fetch(query)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch(query)) for query in queries]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tuple(task.result() for task in tasks)
