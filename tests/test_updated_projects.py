"""Projects that were updated or switched to another database pass their own tests on it."""

import itertools
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.conftest import Rendered
from tests.project import run, run_suite
from tests.repository import DRIVERS, RELEASES, WORK
from tests.servers import Servers, version, written
from tests.updates import contents, update

Check = Callable[[Path, str], None]


@pytest.fixture
def check(
    servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> Check:
    """Migrates a real database, compares it with the models, and runs the project's own tests."""

    def check(project: Path, driver: str) -> None:
        database = servers.create_database(driver)
        # One environment for all of them, in which only the project changes.
        environment = tmp_path_factory.getbasetemp() / f"environment-{driver}"
        settings = {
            "UV_PROJECT_ENVIRONMENT": str(environment),
            "DATABASE_URL": written(database),
            "TEST_DATABASE_URL": written(database),
        }
        run(project, "uv sync --quiet", settings)
        run(project, "uv run ruff check", settings)
        run(project, "uv run alembic upgrade head", settings)
        run(project, "uv run alembic check", settings)
        counted = run_suite(project, settings)
        record_property("result", f"{counted}, {version(database)}")

    return check


@pytest.mark.parametrize("examples", [True, False], ids=["samples", "empty"])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("release", RELEASES)
def test_an_untouched_project_works_after_the_update(
    rendered: Rendered, check: Check, tmp_path: Path, release: str, driver: str, examples: bool
) -> None:
    project = rendered(tmp_path / "project", f"v{release}", driver=driver, examples=examples)
    update(project)
    # tests/test_variants.py runs those that became equal to a fresh one also in the owner's files.
    if differ(project, rendered(tmp_path / "fresh", driver=driver, examples=examples)):
        check(project, driver)


def differ(project: Path, fresh: Path) -> bool:
    """Whether they do in what is run."""
    return {**contents(project), "README.md": b""} != {**contents(fresh), "README.md": b""}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("ref", [*(f"v{release}" for release in RELEASES), WORK])
def test_an_edited_project_works_after_the_update(
    edited: Rendered, check: Check, tmp_path: Path, ref: str, driver: str
) -> None:
    project = edited(tmp_path / "project", ref, driver=driver)
    update(project)
    fresh = edited(tmp_path / "fresh", driver=driver)
    # Those that became equal to one that started from the newest version are run as that one.
    if ref == WORK or differ(project, fresh):
        check(project, driver)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(DRIVERS, 2)))
def test_a_project_with_a_domain_of_its_own_works_on_the_other_database(
    edited: Rendered, check: Check, tmp_path: Path, old: str, new: str
) -> None:
    project = edited(tmp_path / "project", driver=old)
    update(project, copier.VcsRef.CURRENT, driver=new)
    check(project, new)
