"""The rules of the architecture, as checks: what must never be, and what belongs where."""

import ast
import re
import tomllib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import make_url
from starlette.routing import BaseRoute

from app.core import driver
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


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module imports, and every `module.name` that it uses, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno


def find(paths: Iterable[Path], is_found: Callable[[str, Path], bool]) -> list[str]:
    """Return the names for which `is_found`, with the place of each."""
    return [
        f"{path.as_posix()}:{line}: {name}"
        for path in paths
        for name, line in sorted(set(names(parse(path))), key=lambda each: each[1])
        if is_found(name, path)
    ]


def check(rule: str, found: Iterable[str]) -> None:
    """Fail with the rule, and with what breaks it."""
    if broken := list(found):
        pytest.fail("\n".join([rule, *(f"    {each}" for each in broken)]), pytrace=False)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_blocks_or_hides_is_never_used(path: Path) -> None:
    for banned, reason in NEVER.items():
        check(f"{banned} is not used: {reason}.", find([path], lambda name, _: name == banned))  # noqa: B023


def test_domains_take_sessions_and_start_no_tasks() -> None:
    for banned, reason in NEVER_IN_DOMAINS.items():
        found = find(DOMAINS, lambda name, _: name == banned)  # noqa: B023
        check(f"Domains do not use {banned}: {reason}.", found)


def test_domains_never_commit() -> None:
    found = find(DOMAINS, lambda name, _: name.rpartition(".")[2] in {"commit", "rollback"})
    check("Domains never commit: SessionDep does, once, before the response is sent.", found)


def test_statements_are_in_repositories() -> None:
    others = [path for path in DOMAINS if path.name != "repository.py"]
    check(
        "Statements of SQLAlchemy are in a domain's repository.py only.",
        find(others, lambda name, _: name in STATEMENTS),
    )


def test_http_is_in_routers() -> None:
    others = [path for path in DOMAINS if path.name != "router.py"]
    check(
        "Only a domain's router.py knows HTTP: others raise errors of app/core/errors.py.",
        find(others, lambda name, _: name.split(".")[0] in {"fastapi", "starlette"}),
    )


def test_domains_do_not_import_routers_and_schemas_of_others() -> None:
    def is_private_to_another(name: str, path: Path) -> bool:
        parts = name.split(".")
        return (
            parts[:2] == ["app", "domains"]
            and len(parts) > 2
            and parts[2] != path.parts[2]
            and not {"router", "schemas"}.isdisjoint(parts)
        )

    check(
        "A domain does not import the router or the schemas of another, which change with what"
        " clients need. Models, repositories and services are shared.",
        find(DOMAINS, is_private_to_another),
    )


def test_a_broken_rule_is_told_with_its_place(tmp_path: Path) -> None:
    module = tmp_path / "service.py"
    module.write_text("import asyncio\n\nasyncio.gather()\nsession.commit()\n")
    gathers = find([module], lambda name, _: name == "asyncio.gather")
    commits = find([module], lambda name, _: name.endswith(".commit"))

    assert (gathers, commits) == (
        [f"{module.as_posix()}:3: asyncio.gather"],
        [f"{module.as_posix()}:4: session.commit"],
    )
    with pytest.raises(pytest.fail.Exception, match=r"^Never commit\.\n    .*:4: session.commit$"):
        check("Never commit.", commits)


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
    from app.main import app  # noqa: PLC0415 - it reads the settings

    found = {name: second_connections(each) for name, each in endpoints(app.routes).items()}

    assert "['GET'] /health/ready" in found
    check(
        "A request holds one connection: one that waits for a second one deadlocks under load."
        ' "A dependency that reads" in docs/patterns.md shows what to do instead.',
        [f"{name}: {', '.join(opened)}" for name, opened in found.items() if opened],
    )


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
    functions = {f"app.core.database.{function.__name__}" for function in SESSIONS}
    check(
        "A session is asked for by SessionDep, ReadSessionDep or PrimaryReadSessionDep: another"
        " Depends(get_session) could commit after the response, or be a second session.",
        find(DOMAINS, lambda name, _: name in functions),
    )


@pytest.mark.parametrize("path", ROUTERS, ids=[path.as_posix() for path in ROUTERS])
def test_endpoints_and_their_dependencies_are_asynchronous(path: Path) -> None:
    module = import_module(".".join(path.with_suffix("").parts))
    routes = [route for route in module.router.routes if isinstance(route, APIRoute)]
    called = [each.call for route in routes for each in in_order(route.dependant)]

    assert len(called) >= len(routes) > 0
    check(
        "Endpoints and their dependencies are `async def`: anything else, also a class, takes a"
        " thread for each request, a fifth of the throughput.",
        [
            f"{path.as_posix()}: {getattr(call, '__name__', call)}"
            for call in called
            if not isasyncgenfunction(call) | iscoroutinefunction(call)
        ],
    )


ANSWERS = [*Path().glob(".copier-answers.yml")]
DRIVER = make_url(driver.DEFAULT_URL).get_driver_name()
REQUIREMENTS = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]


def recorded_drivers(answers: str) -> list[str]:
    return re.findall(r"^driver: *['\"]?([\w-]*)", answers, flags=re.MULTILINE)


def test_the_recorded_answer_is_the_driver_of_the_code() -> None:
    """The next update renders the driver that is recorded. Without the file there is no update."""
    recorded = [recorded_drivers(file.read_text(encoding="utf-8")) for file in ANSWERS]

    check(
        "Change an answer by `copier update --data driver=…`, never in the file. Put back what was"
        f" there: the code is for {DRIVER}.",
        [f".copier-answers.yml: driver: {drivers}" for drivers in recorded if drivers != [DRIVER]],
    )


def test_the_driver_of_the_code_is_required() -> None:
    required = [re.split(r"[^\w.-]", each)[0] for each in REQUIREMENTS["dependencies"]]

    assert DRIVER in required


@pytest.mark.parametrize(
    ("answers", "recorded"),
    [
        ("author: ''\ndriver: one\n", ["one"]),
        ("driver: 'one'\n", ["one"]),
        ("driver:\n", [""]),
        ("project_name: 'driver: one'\n", []),
    ],
)
def test_the_recorded_driver_is_read_as_copier_writes_it(answers: str, recorded: list[str]) -> None:
    assert recorded_drivers(answers) == recorded
