"""Projects that are made once for all tests and workers: rendered, edited by an owner, updated."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import copier

from tests.edits import edit_as_an_owner
from tests.repository import WORK, commit, git
from tests.updates import update


def make_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Makes the folder unless a worker has; one that needs it at the same time waits."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as scratch:
                made = Path(scratch, folder.name)
                make(made)
                made.rename(folder)
    return folder


def copy_of(project: Path, to: Path) -> Path:
    return shutil.copytree(project, to, symlinks=True)


def name(*parts: str, **answers: str | bool) -> str:
    return "-".join([*parts, *(f"{key}={answers[key]}" for key in sorted(answers))])


class Projects:
    """Git repositories with everything committed. No test changes them: it changes a copy."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.template = template
        self.folder = folder
        self.used: set[Path] = set()

    def make(self, name: str, make: Callable[[Path], object]) -> Path:
        project = make_once(self.folder / name, make)
        self.used.add(project)
        return project

    def rendered(self, ref: str = WORK, /, **answers: str | bool) -> Path:
        def render(to: Path) -> None:
            # The default is the name of the folder, which differs between these projects.
            named = {"project_name": "My Service", **answers}
            copier.run_copy(str(self.template), to, named, vcs_ref=ref, defaults=True, quiet=True)
            git("init", "--quiet", cwd=to)
            commit(to)
            # As a colleague's clone has it: without the folders that are empty.
            git("clean", "--force", "-d", "--quiet", cwd=to)

        return self.make(name("rendered", ref, **answers), render)

    def edited(self, ref: str = WORK, /, **answers: str | bool) -> Path:
        """As `rendered`, and then an owner has worked on it."""
        project = self.rendered(ref, **answers)
        return self.make(
            name("edited", ref, **answers), lambda to: edit_as_an_owner(copy_of(project, to))
        )

    def updated(
        self, project: Path, ref: str | copier.VcsRef = WORK, /, **data: str | bool
    ) -> Path:
        """One of these projects after an update."""
        return self.make(
            name(project.name, "to", str(ref), **data),
            lambda to: update(copy_of(project, to), ref, **data),
        )

    def changed(self) -> list[str]:
        """The projects that are not as they were made."""
        return [path.name for path in self.used if git("status", "--porcelain", cwd=path)]
