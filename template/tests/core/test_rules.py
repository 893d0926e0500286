"""The rules of the architecture, as checks: what must never be, and what belongs where."""

import ast
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib import import_module
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from app.core.database import (
    DatabaseDep,
    ReadSessionDep,
    SessionDep,
    get_database,
    get_primary_read_session,
    get_read_session,
    get_session,
)

APP = Path("app")
FILES = sorted(APP.rglob("*.py"))
DOMAINS = [path for path in FILES if path.is_relative_to(APP / "domains")]
ROUTERS = [APP / "core/health.py", *APP.glob("domains/*/router.py")]
IDS = [path.as_posix() for path in FILES]

NEVER = {
    "sqlalchemy.create_engine": "it blocks the event loop",
    "sqlalchemy.orm.sessionmaker": "it blocks the event loop",
    "sqlalchemy.orm.scoped_session": "its owner cannot be seen",
    "sqlalchemy.ext.asyncio.async_scoped_session": "its owner cannot be seen",
    "starlette.middleware.base": "it costs a third of the throughput",
}
NEVER_IN_DOMAINS = {
    "sqlalchemy.orm.Session": "it blocks the event loop",
    "sqlalchemy.ext.asyncio.create_async_engine": "engines come from app.core.engine",
    "sqlalchemy.ext.asyncio.async_sessionmaker": "sessions come from app.core.database",
    "asyncio.gather": "a session is for one task: fetch_together gives each its own",
    "asyncio.create_task": "a session is for one task: fetch_together gives each its own",
    "asyncio.TaskGroup": "a session is for one task: fetch_together gives each its own",
}
STATEMENTS = {f"sqlalchemy.{name}" for name in ("select", "insert", "update", "delete", "text")}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names(tree: ast.Module) -> Iterator[str]:
    """Every name that a module imports, and every `module.name` that it uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def uses(path: Path, banned: dict[str, str]) -> list[str]:
    return [f"{name}: {banned[name]}" for name in names(parse(path)) if name in banned]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_blocks_or_hides_is_never_used(path: Path) -> None:
    assert uses(path, NEVER) == []


def test_domains_take_sessions_and_start_no_tasks() -> None:
    assert [uses(path, NEVER_IN_DOMAINS) for path in DOMAINS] == [[] for _ in DOMAINS]


def test_domains_never_commit() -> None:
    """The session dependency does, once, before the response."""
    committing = [
        f"{path}:{node.lineno}"
        for path in DOMAINS
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback"}
    ]

    assert committing == []


def test_statements_are_in_repositories() -> None:
    misplaced = [
        str(path)
        for path in DOMAINS
        if path.name != "repository.py" and STATEMENTS & set(names(parse(path)))
    ]

    assert misplaced == []


def test_http_is_in_routers() -> None:
    misplaced = [
        str(path)
        for path in DOMAINS
        if path.name != "router.py"
        and any(name.split(".")[0] in {"fastapi", "starlette"} for name in names(parse(path)))
    ]

    assert misplaced == []


def test_domains_do_not_import_routers_and_schemas_of_others() -> None:
    """They may change with what clients need; models, repositories and services are shared."""
    importing = [
        f"{path}: {name}"
        for path in DOMAINS
        for name in names(parse(path))
        if name.startswith("app.domains.")
        and name.split(".")[2] != path.parts[2]
        and {"router", "schemas"} & set(name.split("."))
    ]

    assert importing == []


SESSIONS = (get_session, get_read_session, get_primary_read_session)


def in_order(dependant: Dependant) -> Iterator[Dependant]:
    """All dependencies of an endpoint in the order in which FastAPI calls them, itself last."""
    for dependency in dependant.dependencies:
        yield from in_order(dependency)
    yield dependant


def second_connections(dependant: Dependant) -> list[str]:
    """Name what opens a session while another one is open."""
    open_session: object = None
    found = []
    for each in in_order(dependant):
        opens_its_own = any(inner.call is get_database for inner in each.dependencies)
        if (each.call in SESSIONS or opens_its_own) and open_session not in {None, each.call}:
            found.append(getattr(each.call, "__name__", repr(each.call)))
        if each.call in SESSIONS or (opens_its_own and isasyncgenfunction(each.call)):
            open_session = open_session or each.call
    return found


def endpoints(routes: Sequence[BaseRoute]) -> dict[str, Dependant]:
    """The endpoints of all routers, with the dependencies that their routers add."""
    found = [route for route in iter_route_contexts(routes) if hasattr(route, "dependant")]
    return {f"{sorted(route.methods or ())} {route.path}": route.dependant for route in found}


def test_a_request_holds_one_connection() -> None:
    """A request that holds a connection and waits for a second one deadlocks under load.

    "A dependency that reads" in docs/patterns.md shows what to do instead.
    """
    from app.main import app  # noqa: PLC0415 - it reads the settings

    found = {name: second_connections(each) for name, each in endpoints(app.routes).items()}

    assert "['GET'] /health/ready" in found
    assert {name: opened for name, opened in found.items() if opened} == {}


def test_the_dependencies_of_routers_are_checked_too() -> None:
    router = APIRouter(dependencies=[Depends(current_user)])
    router.add_api_route("/inner", a_session_and_the_database)
    outer = APIRouter(dependencies=[Depends(own_user)])
    outer.include_router(router, prefix="/outer")

    (dependant,) = endpoints(outer.routes).values()

    assert second_connections(dependant) == ["get_session", "a_session_and_the_database"]


async def current_user(session: ReadSessionDep) -> None: ...
async def own_user(database: DatabaseDep) -> None: ...
async def kept_user(database: DatabaseDep) -> AsyncIterator[None]:
    yield


CurrentUser = Annotated[None, Depends(current_user)]
OwnUser = Annotated[None, Depends(own_user)]
KeptUser = Annotated[None, Depends(kept_user)]


async def two_sessions(read: ReadSessionDep, write: SessionDep) -> None: ...
async def a_session_and_the_database(session: SessionDep, database: DatabaseDep) -> None: ...
async def a_user_and_the_database(user: CurrentUser, database: DatabaseDep) -> None: ...
async def a_user_and_another_session(user: CurrentUser, session: SessionDep) -> None: ...
async def a_user_after_the_session(session: SessionDep, user: OwnUser) -> None: ...
async def a_user_who_keeps_a_session(user: KeptUser, session: SessionDep) -> None: ...


async def the_same_session_twice(user: CurrentUser, session: ReadSessionDep) -> None: ...
async def a_user_before_the_session(user: OwnUser, session: SessionDep) -> None: ...
async def a_user_before_the_database(user: OwnUser, database: DatabaseDep) -> None: ...


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        (two_sessions, ["get_session"]),
        (a_session_and_the_database, ["a_session_and_the_database"]),
        (a_user_and_the_database, ["a_user_and_the_database"]),
        (a_user_and_another_session, ["get_session"]),
        (a_user_after_the_session, ["own_user"]),
        (a_user_who_keeps_a_session, ["get_session"]),
        (the_same_session_twice, []),
        (a_user_before_the_session, []),
        (a_user_before_the_database, []),
    ],
)
def test_a_second_connection_is_found_wherever_it_is_opened(
    endpoint: Callable[..., Any], found: list[str]
) -> None:
    dependant = APIRoute("/", endpoint).dependant

    assert second_connections(dependant) == found


def test_the_session_dependencies_are_used_through_their_names() -> None:
    """Another `Depends(get_session)` could commit after the response, or be a second session."""
    functions = {f"app.core.database.{function.__name__}" for function in SESSIONS}
    direct = [str(path) for path in DOMAINS if functions & set(names(parse(path)))]

    assert direct == []


@pytest.mark.parametrize("path", ROUTERS, ids=[path.as_posix() for path in ROUTERS])
def test_endpoints_and_their_dependencies_are_asynchronous(path: Path) -> None:
    """Anything else, also a class, takes a thread for each request, a fifth of the throughput."""
    module = import_module(".".join(path.with_suffix("").parts))
    routes = [route for route in module.router.routes if isinstance(route, APIRoute)]
    called = [each.call for route in routes for each in in_order(route.dependant)]

    assert len(called) >= len(routes) > 0
    assert [
        call for call in called if not isasyncgenfunction(call) | iscoroutinefunction(call)
    ] == []
