"""Each rendering passes its own checks, on the oldest and the newest Python and dependencies."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.machine import newest_python, oldest_python, real_mysql
from tests.project import OF_OWNERS, ROUTES, Virtualenv, run, run_suite
from tests.projects import Projects, make_once
from tests.repository import DRIVERS
from tests.servers import Servers, path_with, version, written


@dataclass(frozen=True, kw_only=True)
class Variant:
    driver: str
    examples: bool = True
    python: Callable[[], Path] = oldest_python
    resolution: str = "highest"
    # The tests find and start a server themselves and have workers, or are given a server in
    # TEST_DATABASE_URL and have none, which takes less time in all.
    own_server: bool = False
    on_mysql: bool = False
    # All, unless others have run the rest on this Python and these dependencies.
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        samples = "examples" if self.examples else "empty"
        server = "own-server" if self.own_server else "given-server"
        parts = [self.driver, samples, self.python.__name__, self.resolution, server]
        parts += ["real-mysql"] * self.on_mysql + ["owners"] * bool(self.tests)
        return "-".join(parts)


VARIANTS = [Variant(driver="aiomysql", on_mysql=True, own_server=True)]
VARIANTS += [Variant(driver=name, resolution="lowest-direct", own_server=True) for name in DRIVERS]
# On the newest Python all tests without the samples, and then those that read the samples: most of
# the core's have tables and routes of their own. On SQLite, which needs no server, all once more.
VARIANTS += [Variant(driver=name, python=newest_python, examples=False) for name in DRIVERS]
VARIANTS += [
    Variant(driver="asyncpg", python=newest_python, tests=(*OF_OWNERS, *ROUTES)),
    Variant(driver="aiomysql", python=newest_python, tests=(*OF_OWNERS, *ROUTES)),
    Variant(driver="aiosqlite", python=newest_python),
]


Check = Callable[[Variant], list[str]]


@pytest.fixture
def check(
    rendered: Rendered, servers: Servers, virtualenv: Virtualenv, shared: Path, tmp_path: Path
) -> Check:
    """Runs the checks once. The first line says what ran, others what each route took."""

    def check(variant: Variant) -> list[str]:
        def run_checks(result: Path) -> None:
            project = rendered(
                tmp_path / str(variant), driver=variant.driver, examples=variant.examples
            )
            result.write_text("\n".join(lines_of(variant, project, servers, virtualenv)))

        return make_once(shared / f"variant-{variant}", run_checks).read_text().splitlines()

    return check


def lines_of(
    variant: Variant, project: Path, servers: Servers, virtualenv: Virtualenv
) -> list[str]:
    python, programs = variant.python(), real_mysql() if variant.on_mysql else None
    database = servers.create_database(variant.driver, programs)
    settings = virtualenv(project, python, variant.resolution)
    run(project, "uv run ruff check", settings)
    run(project, "uv run ruff format --check", settings)
    run(project, "uv run mypy", settings)

    migrate = settings | {"DATABASE_URL": written(database)}
    run(project, "uv run alembic upgrade head", migrate)
    run(project, "uv run alembic check", migrate)

    records = project.with_name(f"{project.name}-records")
    records.mkdir()
    options = " ".join(variant.tests)
    if variant.own_server:
        settings |= {"PATH": path_with(programs), "RECORD_STATEMENTS": str(records)}
    else:
        settings["TEST_DATABASE_URL"] = written(database)
        options = f"-n0 {options}"
    ran = f"{run_suite(project, settings, options)}, {version(database)}"
    return [ran, *(line for file in records.iterdir() for line in file.read_text().splitlines())]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_rendering_passes_its_own_checks(
    check: Check, variant: Variant, record_property: Callable[[str, object], None]
) -> None:
    record_property("result", check(variant)[0])


def test_the_budgets_of_the_samples_are_what_the_most_expensive_database_needs(
    check: Check, projects: Projects
) -> None:
    """The suites with a server of their own record, the others compare."""
    noted = [line for each in VARIANTS if each.own_server for line in check(each)[1:]]
    lines = (projects.rendered() / "tests" / "statements.txt").read_text().splitlines()
    assert most(noted) == most(line for line in lines if not line.startswith("#"))


def most(lines: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """For each route the most statements, and the most round trips."""
    found: dict[str, tuple[int, ...]] = {}
    for line in lines:
        *costs, route = line.split(maxsplit=2)
        found[route] = tuple(map(max, found.get(route, (0, 0)), map(int, costs)))
    return found
