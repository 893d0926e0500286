"""What `app/core` and the fixtures offer to the owner's code stays, or a major version says so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

from tests.compatibility import actual, incompatible, unannounced
from tests.interface import OFFERED, RECORD, interface, load, members
from tests.projects import Projects
from tests.repository import DRIVERS, PRESENT, RELEASES, notes_since


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_recorded_interface_is_that_of_each_driver(projects: Projects, driver: str) -> None:
    found = interface(projects.rendered(driver=driver, examples=True))
    assert found == RECORD.read_text(), (
        "Run `uv run python -m tests.interface`, and look at the diff."
    )


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
def test_nothing_that_a_release_offered_is_gone(
    projects: Projects, version: str, driver: str
) -> None:
    before = load(projects.rendered(f"v{version}", driver=driver, examples=True))
    now = load(projects.rendered(driver=driver, examples=True))
    assert unannounced(incompatible(before, now), version, PRESENT, notes_since(version)) == []


def test_what_the_samples_import_is_offered(projects: Projects) -> None:
    project = projects.rendered(driver=DRIVERS[0], examples=True)
    offered = {path for module in load(project) for path in paths(module)}
    found = {name for file in owned_code(project) for name in imports(file)}
    assert found - offered == set()
    assert found


def paths(parent: griffe.Object | griffe.Alias) -> Iterator[str]:
    yield parent.path
    if isinstance(inner := actual(parent), griffe.Module | griffe.Class):
        for member in members(inner):
            yield from paths(member)


def owned_code(project: Path) -> list[Path]:
    folders = ("app/domains", "tests/domains", "migrations/versions")
    files = [file for folder in folders for file in (project / folder).rglob("*.py")]
    return [*(project / "app").glob("*.py"), *files]


def imports(file: Path) -> set[str]:
    """What the file takes from the template's code."""
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(OFFERED)
        for alias in node.names
    }
