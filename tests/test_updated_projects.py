"""Projects that were updated or switched to another database pass their own tests on it."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.edits import DELETED
from tests.project import OF_OWNERS, ROUTES, RULES, Virtualenv, run, run_suite
from tests.projects import Projects, copy_of, make_once
from tests.repository import DRIVERS, RELEASES, WORK
from tests.servers import Servers, version, written
from tests.updates import contents

# What no command of these tests reads.
NOT_RUN = ("README.md", "compose.yaml")
# Migrates up, down and up, and compares the tables with the models.
MIGRATIONS = "tests/core/test_migrations.py::test_migrations_go_up_and_down_and_up"
Check = Callable[..., None]


@pytest.fixture
def check(
    servers: Servers,
    virtualenv: Virtualenv,
    shared: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Check:
    """Migrates a real database, compares it with the models, and runs these tests of the project.

    Projects that are equal are checked once. The template's code in an updated project is that of
    a fresh one, and tests/test_variants.py runs all tests of fresh ones.
    """

    def check(project: Path, driver: str, tests: tuple[str, ...]) -> None:
        def run_checks(result: Path) -> None:
            own = copy_of(project, tmp_path / "project")
            database = servers.create_database(driver)
            settings = virtualenv(own) | {
                "DATABASE_URL": written(database),
                "TEST_DATABASE_URL": written(database),
            }
            run(own, "uv run ruff check", settings)
            if tests:
                # Without workers, which tests/test_variants.py has: that takes less time in all.
                done = run_suite(own, settings, " ".join(["-n0", MIGRATIONS, *tests]))
            else:
                run(own, "uv run alembic upgrade head", settings)
                run(own, "uv run alembic check", settings)
                done = "Migrated"
            result.write_text(f"{done}, {version(database)}")

        digest = hashlib.sha256(repr((what_is_run(project), tests)).encode()).hexdigest()
        record_property("result", make_once(shared / f"checked-{digest}", run_checks).read_text())

    return check


def what_is_run(project: Path) -> dict[str, bytes]:
    return {path: text for path, text in contents(project).items() if path not in NOT_RUN}


@pytest.mark.parametrize("examples", [True, False], ids=["samples", "empty"])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("release", RELEASES)
def test_an_untouched_project_works_after_the_update(
    projects: Projects, check: Check, release: str, driver: str, examples: bool
) -> None:
    project = projects.updated(projects.rendered(f"v{release}", driver=driver, examples=examples))
    fresh = projects.rendered(driver=driver, examples=examples)
    # tests/test_variants.py runs those that became equal to a fresh one also in the owner's files.
    if what_is_run(project) != what_is_run(fresh):
        # The test below runs the samples of the same release that its owner has kept.
        runs = examples and driver == "aiosqlite"
        check(project, driver, (DELETED[1], *RULES, *ROUTES) if runs else ())


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "ref", [*(f"v{release}" for release in RELEASES), pytest.param(WORK, marks=pytest.mark.quick)]
)
def test_an_edited_project_works_after_the_update(
    projects: Projects, check: Check, ref: str, driver: str
) -> None:
    project = projects.updated(projects.edited(ref, driver=driver))
    oldest = f"v{next(iter(RELEASES))}"
    check(project, driver, (*OF_OWNERS, *ROUTES) if ref == oldest else OF_OWNERS)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(DRIVERS, 2)))
def test_a_project_with_a_domain_of_its_own_works_on_the_other_database(
    projects: Projects, check: Check, old: str, new: str
) -> None:
    """It is what its owner would have made on that one: the second of a pair is not run again."""
    before = projects.edited(driver=old)
    check(projects.updated(before, copier.VcsRef.CURRENT, driver=new), new, OF_OWNERS)
