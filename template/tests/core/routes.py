"""What the checks of the routes find, and the exceptions that `tests/routes.txt` makes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.routing import BaseRoute

from app.core.database import get_primary_read_session, get_read_session, get_session

FILE = Path(__file__).parents[1] / "routes.txt"
CHECKS = ("answer", "commit", "connection", "dependency")
LINE = re.compile(rf"({'|'.join(CHECKS)})\s+([A-Z]+ /\S*)\s+(\S.*)")

SESSIONS = (get_session, get_read_session, get_primary_read_session)
SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Finding:
    route: str
    message: str


def read_exceptions() -> list[str]:
    """Return the lines of the file, which older projects do not have."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def malformed(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not LINE.fullmatch(line)]


def excepted(check: str, lines: Iterable[str]) -> set[str]:
    found = filter(None, map(LINE.fullmatch, lines))
    return {match[2] for match in found if match[1] == check}


def judge(check: str, found: Iterable[Finding], lines: Sequence[str] | None = None) -> None:
    """Fail with what was found, and with the exceptions that nothing needs."""
    found = list(found)
    exceptions = excepted(check, read_exceptions() if lines is None else lines)
    messages = [f"{each.route}: {each.message}" for each in found if each.route not in exceptions]
    unused = sorted(exceptions - {each.route for each in found})
    if messages:
        messages.append(
            f"If that is intended, add a line to tests/routes.txt: {check}  route  reason"
        )
    messages += [
        f"tests/routes.txt: `{check} {route}` is not needed. Remove the line." for route in unused
    ]
    if messages:
        pytest.fail("\n".join(messages), pytrace=False)


def in_order(dependant: Dependant) -> Iterator[Dependant]:
    """All dependencies of an endpoint in the order in which FastAPI calls them, itself last."""
    for dependency in dependant.dependencies:
        yield from in_order(dependency)
    yield dependant


def blocks(call: Any) -> bool:
    """Return whether FastAPI calls it in a thread."""
    if not isinstance(call, type) and not hasattr(call, "__code__"):
        call = getattr(call, "func", None) or type(call).__call__
    return not (isasyncgenfunction(call) or iscoroutinefunction(call))


def yields_session(call: Any) -> bool:
    """Return whether its annotation says that it gives a session."""
    try:
        returned = get_type_hints(call).get("return")
    except (NameError, TypeError):
        return False
    return any(
        isinstance(each, type) and issubclass(each, AsyncSession)
        for each in (returned, *get_args(returned))
    )


def problems_of(dependant: Dependant, methods: set[str]) -> Iterator[str]:
    for each in in_order(dependant):
        name = getattr(each.call, "__name__", repr(each.call))
        if blocks(each.call):
            yield (
                f"{name} is not `async def`, so that it takes a thread for each request. Write "
                "`async def`, and let what blocks run in `asyncio.to_thread`."
            )
        if each.call not in SESSIONS and yields_session(each.call):
            yield (
                f"{name} makes a session of its own, which commits when nobody knows. Use "
                "SessionDep, ReadSessionDep or DatabaseDep."
            )
        if each.call in SESSIONS and each.scope != "function":
            yield (
                f"Depends({name}) ends after the response was sent. Use SessionDep or "
                'ReadSessionDep, which have scope="function".'
            )
        if each.call is get_session and methods <= SAFE:
            yield (
                "it only reads, by its method, but has SessionDep. Use ReadSessionDep, or a method "
                "that may write."
            )


def check_dependencies(routes: Sequence[BaseRoute]) -> list[Finding]:
    """Look at the endpoints and dependencies of all routes, without a request."""
    return [
        Finding(f"{method} {route.path}", message)
        for route in iter_route_contexts(routes)
        if hasattr(route, "dependant")
        for method in sorted(route.methods or ())[:1]
        for message in dict.fromkeys(problems_of(route.dependant, set(route.methods or ())))
    ]
