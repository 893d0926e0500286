"""The rules of the architecture, as checks: what must never be, and what belongs where."""

import ast
from collections.abc import Iterator
from importlib import import_module
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

APP = Path("app")
FILES = sorted(APP.rglob("*.py"))
DOMAINS = [path for path in FILES if path.is_relative_to(APP / "domains")]
ROUTERS = [APP / "core/health.py", *APP.glob("domains/*/router.py")]
IDS = [path.as_posix() for path in FILES]

NEVER = {
    "sqlalchemy.create_engine": "it blocks the event loop",
    "sqlalchemy.orm.sessionmaker": "it blocks the event loop",
    "sqlalchemy.orm.scoped_session": "nobody sees whose session it is",
    "sqlalchemy.ext.asyncio.async_scoped_session": "nobody sees whose session it is",
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


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


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


def test_a_request_holds_one_connection() -> None:
    """One that holds a session and opens another waits for itself when the pool is in use."""
    holding = [
        f"{path}:{function.lineno}"
        for path in DOMAINS
        for function in functions(path)
        if "DatabaseDep" in ast.unparse(function.args)
        and "SessionDep" in ast.unparse(function.args)
    ]

    assert holding == []


def test_the_session_dependencies_are_used_through_their_names() -> None:
    """Another `Depends(get_session)` could commit after the response, or be a second session."""
    direct = [
        str(path) for path in DOMAINS if {"app.core.database.get_session"} & set(names(parse(path)))
    ]

    assert direct == []


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from calls(dependency)


@pytest.mark.parametrize("path", ROUTERS, ids=[path.as_posix() for path in ROUTERS])
def test_endpoints_and_their_dependencies_are_asynchronous(path: Path) -> None:
    """Anything else, also a class, takes a thread for each request, a fifth of the throughput."""
    module = import_module(".".join(path.with_suffix("").parts))
    routes = [route for route in module.router.routes if isinstance(route, APIRoute)]
    called = [call for route in routes for call in calls(route.dependant)]

    assert len(called) >= len(routes) > 0
    assert [
        call for call in called if not isasyncgenfunction(call) | iscoroutinefunction(call)
    ] == []
