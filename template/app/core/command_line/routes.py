"""`app routes`: each route, its session, and what a request costs."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from app.core.command_line.output import load_settings, show_json, show_table

STATEMENTS = Path(__file__).parents[3] / "tests" / "statements.txt"
HEADINGS = ("method", "path", "session", "statements", "round trips", "endpoint")


def routes_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the routes in the order in which they match.

    With the kind of session of each, and the most statements and round trips that a successful
    request took in the tests: tests/statements.txt.
    """
    load_settings()
    from app.main import app

    rows = list(find_routes(app.routes, read_budgets(STATEMENTS)))
    if as_json:
        show_json([dict(zip(HEADINGS, row, strict=True)) for row in rows])
        return
    shown = [["-" if each is None else each for each in row] for row in rows]
    show_table(*HEADINGS, rows=shown, right=(3, 4))


def find_routes(routes: Any, budgets: dict[str, tuple[int, ...]]) -> Iterator[list[Any]]:
    from fastapi.routing import iter_route_contexts

    for route in iter_route_contexts(routes):
        if (dependant := getattr(route, "dependant", None)) is None:
            continue
        for method in sorted(route.methods or ()):
            cost = budgets.get(f"{method} {route.path}", (None, None))
            endpoint = dependant.call
            name = f"{endpoint.__module__}.{endpoint.__qualname__}"
            yield [method, route.path, session_of(dependant), *cost, name]


def session_of(dependant: Any) -> str | None:
    """Return `write`, `read`, `primary read`, or `own` for one that opens its sessions itself."""
    from app.core import database

    kinds = {
        database.get_session: "write",
        database.get_read_session: "read",
        database.get_primary_read_session: "primary read",
        database.get_database: "own",
    }
    called = set(calls(dependant))
    return ", ".join(kind for call, kind in kinds.items() if call in called) or None


def calls(dependant: Any) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from calls(dependency)


def read_budgets(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the statements and round trips by route, nothing if there is no file."""
    return most(file.read_text(encoding="utf-8").splitlines() if file.exists() else ())


def most(lines: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """For each route the most statements, and the most round trips."""
    found: dict[str, tuple[int, ...]] = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            *costs, route = line.split(maxsplit=2)
            found[route] = tuple(map(max, found.get(route, (0, 0)), map(int, costs)))
    return found
