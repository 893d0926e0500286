"""What `copier update` does to a project of any release.

No call says `unsafe`: no trust is needed.
"""

import re
import shlex
import shutil
import sys
from itertools import cycle
from pathlib import Path

import copier
import pytest

from tests.conftest import Rendered
from tests.edits import DELETED, change
from tests.project import UV, run
from tests.projects import Projects
from tests.repository import DRIVERS, RELEASES, TOP, WORK, commit, git
from tests.updates import CONFLICT, Answers, answers, contents, not_owned, owned, point_to, update

OLDEST, *OTHERS = RELEASES
# When the template got its tags.
TAGS = ("never", "always", "since the update")
# From the oldest release in each of these ways, from the others by turns.
COMMANDS = [*((OLDEST, tags) for tags in TAGS), *zip(OTHERS, cycle(TAGS), strict=False)]


@pytest.mark.parametrize("examples", [True, False], ids=["samples", "empty"])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
class TestUpdate:
    def test_makes_an_untouched_project_a_fresh_one(
        self, projects: Projects, version: str, driver: str, examples: bool
    ) -> None:
        chosen: Answers = {"driver": driver, "examples": examples}
        before = projects.rendered(f"v{version}", **chosen)
        project = projects.updated(before)
        assert not_owned(project) == not_owned(projects.rendered(**chosen))
        assert owned(project) == owned(before)
        given = answers(before)
        assert {name: answers(project)[name] for name in given} == given

    def test_keeps_what_the_owner_did(
        self, projects: Projects, version: str, driver: str, examples: bool
    ) -> None:
        """Afterwards it is as if the owner had started from the newest version."""
        chosen: Answers = {"driver": driver, "examples": examples}
        before = projects.edited(f"v{version}", **chosen)
        project = projects.updated(before)
        assert not_owned(project) == not_owned(projects.edited(**chosen))
        assert owned(project) == owned(before)
        assert not any((project / path).exists() for path in DELETED)


@pytest.mark.parametrize("examples", [True, False], ids=["samples", "empty"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_second_update_changes_nothing(projects: Projects, driver: str, examples: bool) -> None:
    """The first one leaves the same files, but for the owner's, whatever the release was."""
    before = projects.rendered(f"v{OLDEST}", driver=driver, examples=examples)
    project = projects.updated(before)
    assert contents(projects.updated(project)) == contents(project)


@pytest.mark.parametrize(("version", "tags"), COMMANDS)
def test_the_command_updates_with_and_without_tags(
    template: Path, tmp_path: Path, version: str, tags: str
) -> None:
    """As an owner calls it, from a clone that moves on between the copy and the update."""
    clone, project = tmp_path / "template", tmp_path / "project"
    git("clone", "--quiet", "--no-tags", str(template), str(clone))
    git("reset", "--quiet", "--hard", RELEASES[version], cwd=clone)
    if tags == "always":
        git("tag", f"v{version}", cwd=clone)
    copier_command(tmp_path, f"copy --defaults --data project_name=Ours {clone} {project}")
    git("init", "--quiet", cwd=project)
    commit(project)

    git("pull", "--quiet", "--tags" if tags != "never" else "--no-tags", cwd=clone)
    news = copier_command(project, "check-update --output-format=json")
    assert '"update_available": true' in news
    copier_command(project, "update --defaults")
    assert not CONFLICT.search(git("status", "--porcelain", cwd=project))
    copier_command(tmp_path, f"copy --defaults --data project_name=Ours {clone} fresh")
    git("init", "--quiet", cwd=tmp_path / "fresh")
    assert not_owned(project) == not_owned(tmp_path / "fresh")


def copier_command(folder: Path, command: str) -> str:
    return run(folder, f"{sys.executable} -m copier {command}")


@pytest.mark.parametrize("version", RELEASES)
def test_a_project_in_a_folder_of_a_repository_is_updated(
    rendered: Rendered, projects: Projects, tmp_path: Path, version: str
) -> None:
    project = rendered(tmp_path / "repository" / "services" / "ours", f"v{version}")
    shutil.rmtree(project / ".git")
    (project.parents[1] / "README.md").write_text("Of all services.\n")
    git("init", "--quiet", cwd=project.parents[1])
    commit(project.parents[1])
    (project.parents[1] / "README.md").write_text("Work in progress elsewhere.\n")

    update(project)

    assert not_owned(project) == not_owned(projects.rendered())
    assert (project.parents[1] / "README.md").read_text() == "Work in progress elsewhere.\n"


@pytest.fixture
def later(template: Path, tmp_path: Path) -> Path:
    """A template with one more version, which changes two files of the template's and drops one."""
    later = tmp_path / "later"
    git("clone", "--quiet", str(template), str(later))
    change(
        later, "template/app/core/streaming.py", "ROWS_AT_ONCE = 1000\n", "ROWS_AT_ONCE = 2000\n"
    )
    change(later, "template/app/core/bulk.py", "CHUNK_SIZE = 1000", "CHUNK_SIZE = 900")
    (later / "template" / "docs" / "troubleshooting.md").unlink()
    commit(later)
    git("tag", "v1000.0.0", cwd=later)
    return later


def test_lines_that_both_have_changed_are_marked_and_reported_and_the_rest_is_updated(
    rendered: Rendered, tmp_path: Path, later: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = rendered(tmp_path / "project")
    point_to(later, project)
    change(project, "app/core/streaming.py", "ROWS_AT_ONCE = 1000\n", "ROWS_AT_ONCE = 500\n")
    commit(project)

    copier.run_update(project, defaults=True, overwrite=True)

    message = capfd.readouterr().err.partition("is updated.")[2]
    assert CONFLICT.findall(git("status", "--porcelain", cwd=project)) == ["UU"]
    marked = (project / "app/core/streaming.py").read_text()
    assert "<<<<<<< before updating\nROWS_AT_ONCE = 500\n" in marked
    assert "\nROWS_AT_ONCE = 2000\n>>>>>>> after updating\n" in marked
    assert "CHUNK_SIZE = 900" in (project / "app/core/bulk.py").read_text()
    assert [path for path, text in contents(project).items() if b"\n<<<<<<< " in text] == [
        "app/core/streaming.py"
    ]
    conflicts, markers, removed = re.findall(r"^ {4}(git diff .*?)  ", message, re.MULTILINE)
    assert listed(project, conflicts) == ["app/core/streaming.py"]
    assert all(
        line.startswith(("app/core/streaming.py:", "+")) for line in listed(project, markers)
    )
    assert listed(project, removed) == ["docs/troubleshooting.md"]


def test_what_git_hides_and_what_is_no_longer_toml_is_found_by_the_commands_of_the_message(
    rendered: Rendered, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither is a conflict: the table is one that both have added."""
    project = rendered(tmp_path / "project", "v0.2.0")
    change(project, ".gitignore", ".env\n", ".env\ndata*/\n")
    scripts = '\n[project.scripts]\nours = "x:y"\n\n[tool.mypy]\n'
    change(project, "pyproject.toml", "\n[tool.mypy]\n", scripts)
    commit(project)

    copier.run_update(project, vcs_ref=WORK, defaults=True, overwrite=True)

    message = capfd.readouterr().err.partition("is updated.")[2]
    commands = re.findall(r"^ {4}(\S.*?)(?: {2,}#.*)?$", message, re.MULTILINE)
    conflicts, *_, ignored, lock, layout, test = commands
    assert listed(project, conflicts) == []
    assert "!! data_copy/" in listed(project, ignored)
    assert any("duplicate key" in line for line in listed(project, lock.replace("uv", UV)))
    assert (layout, test) == ("uv run ruff format", "uv run pytest")
    new = rendered(tmp_path / "new")
    for document in (project / "docs" / "operations.md", new / "README.md", TOP / "README.md"):
        text = document.read_text()
        assert "copier update --defaults\n" + "".join(f"{each}\n" for each in commands) in text


def listed(project: Path, command: str) -> list[str]:
    """What a command of git's prints; one that finds something may say so by its exit status."""
    return run(project, f"bash -c {shlex.quote(f'{command} || true')}").splitlines()


def test_an_update_that_would_touch_uncommitted_work_is_refused(
    rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project", f"v{next(iter(RELEASES))}")
    (project / "notes.txt").write_text("not committed\n")
    with pytest.raises(copier.errors.UserMessageError, match="dirty"):
        update(project)
    assert git("status", "--porcelain", cwd=project) == "?? notes.txt\n"
