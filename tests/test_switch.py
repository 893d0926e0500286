"""Other answers, given on update: another database, with the samples or without."""

import itertools
import shlex
from pathlib import Path

import copier
import pytest

from tests.conftest import Rendered
from tests.project import Virtualenv, run
from tests.projects import Projects
from tests.repository import DRIVERS, readme_commands
from tests.updates import answers, contents, not_owned, owned

PAIRS = list(itertools.permutations(DRIVERS, 2))


@pytest.mark.parametrize("examples", [True, False], ids=["samples", "empty"])
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_an_untouched_project_becomes_a_fresh_one_on_the_other_database(
    projects: Projects, old: str, new: str, examples: bool
) -> None:
    before = projects.rendered(driver=old, examples=examples)
    project = projects.updated(before, copier.VcsRef.CURRENT, driver=new)
    fresh = projects.rendered(driver=new, examples=examples)
    assert contents(project) == contents(fresh)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_owners_edits_move_to_the_other_database(
    projects: Projects, old: str, new: str
) -> None:
    before = projects.edited(driver=old)
    project = projects.updated(before, copier.VcsRef.CURRENT, driver=new)
    fresh = projects.edited(driver=new)
    assert owned(project) == owned(before) == owned(fresh)
    for path, text in not_owned(fresh).items():
        # Who had no server had no compose file to edit.
        assert (project / path).read_bytes() == text or (path, old) == ("compose.yaml", "aiosqlite")
    assert contents(project).keys() == contents(fresh).keys()


def test_an_answer_that_was_changed_in_the_file_is_found_by_the_services_own_tests(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    """The next switch would conflict in many files. Who has no such file gets no updates."""
    project = rendered(tmp_path / "project", driver="aiosqlite")
    variables = virtualenv(project)
    rule = "uv run pytest -n0 tests/core/test_rules.py -k recorded_answer"
    file = project / ".copier-answers.yml"
    text = file.read_text()
    for edited in ("driver: asyncpg\n", ""):
        file.write_text(text.replace("driver: aiosqlite\n", edited))
        with pytest.raises(AssertionError, match="`copier update --data driver=…`, never in"):
            run(project, rule, variables)
    file.write_text(text)
    assert "1 passed" in run(project, rule, variables)
    file.unlink()
    assert "1 passed" in run(project, rule, variables)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("examples", [True, False], ids=["on", "off"])
class TestSamples:
    def test_belong_to_the_owner_whatever_the_answer_becomes(
        self, projects: Projects, driver: str, examples: bool
    ) -> None:
        before = projects.edited(driver=driver, examples=not examples)
        project = projects.updated(before, copier.VcsRef.CURRENT, examples=examples)
        fresh = projects.edited(driver=driver, examples=examples)
        assert owned(project) == owned(before)
        assert not_owned(project) == not_owned(fresh)
        assert answers(project)["examples"] == examples

    def test_come_and_go_by_the_commands_of_the_readme(
        self,
        rendered: Rendered,
        projects: Projects,
        tmp_path: Path,
        driver: str,
        examples: bool,
    ) -> None:
        project = rendered(tmp_path / "project", driver=driver, examples=not examples)
        remove, recopy, *_ = readme_commands("### The samples, later")
        if not examples:
            run(project, f"bash -c {shlex.quote(remove)}")
        words = shlex.split(recopy)[3:]
        arguments = dict(word.removeprefix("--").partition("=")[::2] for word in words)
        assert arguments.pop("data") == "examples=true"
        assert arguments == {"vcs-ref": ":current:", "defaults": "", "overwrite": ""}
        copier.run_recopy(
            project,
            {"examples": examples},
            vcs_ref=copier.VcsRef.CURRENT,
            defaults=True,
            overwrite=True,
            quiet=True,
        )
        fresh = projects.rendered(driver=driver, examples=examples)
        assert contents(project) == contents(fresh)


def test_the_development_database_is_created_again_after_the_samples(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project", driver="aiosqlite", examples=True)
    variables = virtualenv(project)
    remove, _, again, _ = readme_commands("### The samples, later")
    run(project, "uv run alembic upgrade head", variables)
    run(project, f"bash -c {shlex.quote(remove)}")
    with pytest.raises(AssertionError, match="Can't locate revision identified by"):
        run(project, "uv run alembic upgrade head", variables)
    delete, upgrade = again.splitlines()
    run(project, delete)
    run(project, upgrade, variables)
