"""The template, now and at each release, projects that were rendered from it, and servers."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import jinja2
import pytest

from tests.project import Virtualenv
from tests.projects import Projects, copy_of, make_once
from tests.repository import ENVIRONMENT, WORK, tagged_clone
from tests.servers import Servers

# Its tests run in a project.
collect_ignore = ["owner"]
# These files run first, the longest tests before all: no worker waits for another at the end.
LONGEST = [
    "test_variants.py",
    "test_updated_projects.py",
    "test_snippets.py",
    "test_serving.py",
    "test_data_copy.py",
    "test_database_down.py",
    "test_overload.py",
    "test_network.py",
    "test_conflicts.py",
    "test_shutdown.py",
]
MEMORY = Path("/dev/shm")
GIGABYTE = 1024**3


class Rendered(Protocol):
    def __call__(self, to: Path, ref: str = ..., /, **answers: str | bool) -> Path: ...


def pytest_configure() -> None:
    """Keeps temporary files in memory where there is room: git is much faster there."""
    if "TMPDIR" not in os.environ and is_usable(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
        # uv's cache is on another file system: hard links are not possible.
        os.environ.setdefault("UV_LINK_MODE", "copy")


def is_usable(folder: Path) -> bool:
    """Whether it has room for this run, and programs can be started from it."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize > 8 * GIGABYTE and not found.f_flag & os.ST_NOEXEC


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the developer's settings, caches and git hooks out."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "settings.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("COPIER_SETTINGS_PATH", str(folder / "settings.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Keeps what Jinja compiles: in one update Copier compiles the same few texts 3000 times.

    The result depends on nothing but the text, and the template's delimiters and extensions.
    """
    compile_again = jinja2.Environment.compile
    compiled: dict[tuple[object, ...], Any] = {}

    def compile_once(self: jinja2.Environment, source: str, *named: Any) -> Any:
        if named:
            return compile_again(self, source, *named)
        key = (self.lexer, *self.extensions, source)
        if key not in compiled:
            compiled[key] = compile_again(self, source)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers of this run."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def template(shared: Path) -> Path:
    """A clone with each release tagged, and the files as they are here committed as WORK."""
    return make_once(shared / "template", tagged_clone)


@pytest.fixture(scope="session")
def projects(template: Path, shared: Path) -> Iterator[Projects]:
    """Projects that all tests share: to read, or to copy."""
    projects = Projects(template, shared)
    yield projects
    assert projects.changed() == []


@pytest.fixture(scope="session")
def rendered(projects: Projects) -> Rendered:
    """A rendered project of the test's own, which it may change."""

    def render(to: Path, ref: str = WORK, /, **answers: str | bool) -> Path:
        return copy_of(projects.rendered(ref, **answers), to)

    return render


@pytest.fixture
def virtualenv(shared: Path) -> Iterator[Virtualenv]:
    """An environment for a project, taken over from an earlier test if one is free."""
    with ExitStack() as stack:
        yield Virtualenv(shared, stack)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what the renderings' own suites counted, and on which database."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            terminalreporter.write_line(f"{name} {report.nodeid.partition('[')[2][:-1]}: {value}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)
