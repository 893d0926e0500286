"""Each rendering passes its own checks, on the oldest and the newest Python and dependencies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.machine import newest_python, oldest_python, real_mysql
from tests.project import Virtualenv, run, run_suite
from tests.repository import DRIVERS
from tests.servers import Servers, path_with, version, written


@dataclass(frozen=True, kw_only=True)
class Variant:
    driver: str
    examples: bool = True
    python: Callable[[], Path] = oldest_python
    resolution: str = "highest"
    # The tests find and start a server themselves, or are given one in TEST_DATABASE_URL.
    own_server: bool = False
    on_mysql: bool = False

    def __str__(self) -> str:
        samples = "examples" if self.examples else "empty"
        server = "own-server" if self.own_server else "given-server"
        parts = [self.driver, samples, self.python.__name__, self.resolution, server]
        return "-".join([*parts, "real-mysql"] if self.on_mysql else parts)


VARIANTS = [
    Variant(driver="aiomysql", on_mysql=True, own_server=True),
    Variant(driver="aiomysql", on_mysql=True, examples=False, python=newest_python),
]
for name in DRIVERS:
    VARIANTS += [
        Variant(driver=name, resolution="lowest-direct", own_server=True),
        Variant(driver=name, python=newest_python),
        Variant(driver=name, examples=False),
    ]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_rendering_passes_its_own_checks(
    rendered: Rendered,
    servers: Servers,
    virtualenv: Virtualenv,
    tmp_path: Path,
    variant: Variant,
    record_property: Callable[[str, object], None],
) -> None:
    python, programs = variant.python(), real_mysql() if variant.on_mysql else None
    database = servers.create_database(variant.driver, programs)
    project = rendered(tmp_path / "project", driver=variant.driver, examples=variant.examples)
    settings = virtualenv(project, python, variant.resolution)
    run(project, "uv run ruff check", settings)
    run(project, "uv run ruff format --check", settings)
    run(project, "uv run mypy", settings)

    migrate = settings | {"DATABASE_URL": written(database)}
    run(project, "uv run alembic upgrade head", migrate)
    run(project, "uv run alembic check", migrate)

    if variant.own_server:
        settings["PATH"] = path_with(programs)
    else:
        # Its workers append their names to this one's.
        settings["TEST_DATABASE_URL"] = written(database)
    record_property("result", f"{run_suite(project, settings)}, {version(database)}")
