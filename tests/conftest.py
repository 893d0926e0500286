"""The template as it is now, and as it was at each release, ready to be rendered; and servers."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import copier
import pytest

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
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with each release tagged, and the files as they are here committed as WORK."""
    return tagged_clone(tmp_path_factory.mktemp("template") / "clone")


@pytest.fixture(scope="session")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Renders each (ref, answers) once; who asks gets a copy with a git repository of its own."""
    renders: dict[tuple[object, ...], Path] = {}

    def render(to: Path, ref: str = WORK, /, **answers: str | bool) -> Path:
        key = (ref, *sorted(answers.items()))
        if key not in renders:
            where = tmp_path_factory.mktemp("render") / "project"
            copier.run_copy(str(template), where, answers, vcs_ref=ref, defaults=True, quiet=True)
            renders[key] = where
        shutil.copytree(renders[key], to, symlinks=True)
        git("init", "--quiet", cwd=to)
        commit(to)
        # As a colleague's clone has it: without the folders that are empty.
        git("clean", "--force", "-d", "--quiet", cwd=to)
        return to

    return render


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what the renderings' own suites counted, and on which database."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            terminalreporter.write_line(f"{name} {report.nodeid.partition('[')[2][:-1]}: {value}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)
