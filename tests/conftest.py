"""The template as it is now, and as it was at each release, ready to be rendered; and servers."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import copier
import pytest

from tests.edits import edit_as_an_owner
from tests.repository import ENVIRONMENT, WORK, commit, git, tagged_clone
from tests.servers import Servers

# Its tests run in a project.
collect_ignore = ["owner"]


class Rendered(Protocol):
    def __call__(self, to: Path, ref: str = ..., /, **answers: str | bool) -> Path: ...


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers of this run."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def make_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Makes the folder unless a worker has already; of two at the same time one is first."""
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as scratch:
            made = Path(scratch, folder.name)
            make(made)
            with suppress(OSError):
                made.rename(folder)
    return folder


@pytest.fixture(scope="session")
def template(shared: Path) -> Path:
    """A clone with each release tagged, and the files as they are here committed as WORK."""
    return make_once(shared / "template", tagged_clone)


@pytest.fixture(scope="session")
def rendered(template: Path, shared: Path) -> Rendered:
    """Renders each (ref, answers) once; who asks gets a copy with a git repository of its own."""

    def render(to: Path, ref: str = WORK, /, **answers: str | bool) -> Path:
        def copy(where: Path) -> None:
            copier.run_copy(str(template), where, answers, vcs_ref=ref, defaults=True, quiet=True)

        name = "-".join(["rendered", ref, *(f"{key}={answers[key]}" for key in sorted(answers))])
        shutil.copytree(make_once(shared / name, copy), to, symlinks=True)
        git("init", "--quiet", cwd=to)
        commit(to)
        # As a colleague's clone has it: without the folders that are empty.
        git("clean", "--force", "-d", "--quiet", cwd=to)
        return to

    return render


@pytest.fixture(scope="session")
def edited(rendered: Rendered) -> Rendered:
    """As `rendered`, and then an owner has worked on it."""

    def edit(to: Path, ref: str = WORK, /, **answers: str | bool) -> Path:
        edit_as_an_owner(rendered(to, ref, **answers))
        return to

    return edit


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what the renderings' own suites counted, and on which database."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            terminalreporter.write_line(f"{name} {report.nodeid.partition('[')[2][:-1]}: {value}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)
