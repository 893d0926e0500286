"""The checks of a rendering on GitHub Actions and on GitLab CI, and the change of the system."""

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from sqlalchemy import make_url

from tests.conftest import Rendered
from tests.project import run
from tests.projects import Projects
from tests.repository import DRIVERS, RELEASES, TOP, commit
from tests.updates import answers, contents, not_owned, update

FILES = {
    "github": {".github/workflows/ci.yml", ".github/workflows/update.yml"},
    "gitlab": {".gitlab-ci.yml"},
    "none": set(),
}
SCHEMAS = {
    "github": "--builtin-schema=vendor.github-workflows",
    "gitlab": "--builtin-schema=vendor.gitlab-ci --data-transform=gitlab-ci",
}
# Where the development dependencies have put theirs.
PROGRAMS = Path(sys.executable).parent


def ci_files(project: Path) -> set[str]:
    return {path for path in contents(project) if path.startswith((".github/", ".gitlab"))}


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("ci", FILES)
def test_each_system_has_its_files_and_they_hold_to_its_schema(
    projects: Projects, ci: str, driver: str
) -> None:
    project = projects.rendered(ci=ci, driver=driver)
    assert ci_files(project) == FILES[ci]
    for path in FILES[ci]:
        run(project, f"{sys.executable} -m check_jsonschema {SCHEMAS[ci]} {path}")


def check_workflows(folder: Path) -> None:
    run(folder, f"{PROGRAMS / 'zizmor'} --offline --no-progress .github")


def test_the_workflows_of_the_template_have_no_known_weakness() -> None:
    check_workflows(TOP)


def test_the_workflows_of_a_rendering_have_no_known_weakness(projects: Projects) -> None:
    check_workflows(projects.rendered(ci="github"))


def test_a_weakness_of_a_workflow_is_found(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project", ci="github")
    workflow = project / ".github" / "workflows" / "ci.yml"
    workflow.write_text(re.sub("@[0-9a-f]{40}", "@main", workflow.read_text()))
    with pytest.raises(AssertionError, match="unpinned-uses"):
        check_workflows(project)


def test_the_image_is_built_as_it_should_be(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project")
    run(project, f"{PROGRAMS / 'hadolint'} Dockerfile")
    variables = re.findall(r"^ENV (.+)$", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert "ENVIRONMENT=production" in variables[-1].split()
    (project / "Dockerfile").write_text("FROM python\n")
    with pytest.raises(AssertionError, match="DL3006"):
        run(project, f"{PROGRAMS / 'hadolint'} Dockerfile")


@pytest.mark.parametrize("driver", DRIVERS)
def test_both_systems_run_the_same_checks(projects: Projects, driver: str) -> None:
    github = projects.rendered(ci="github", driver=driver)
    gitlab = projects.rendered(ci="gitlab", driver=driver)
    workflow = load(github / ".github" / "workflows" / "ci.yml")
    steps = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    job = load(gitlab / ".gitlab-ci.yml")["check"]
    # There the database is a service, and the lock file is asked for in the shell.
    assert [line for line in job["script"] if not line.startswith("if ")] == [
        step for step in steps if step.startswith("uv ") and step != "uv lock --check"
    ]
    assert job["script"][0] == "if [ -e uv.lock ]; then uv lock --check; fi"


@pytest.mark.parametrize("driver", ["asyncpg", "aiomysql"])
def test_the_database_of_gitlab_is_the_one_for_development(projects: Projects, driver: str) -> None:
    project = projects.rendered(ci="gitlab", driver=driver)
    job = load(project / ".gitlab-ci.yml")["check"]
    [service] = job["services"]
    development = load(project / "compose.yaml")["services"]["database"]
    assert service["image" if "image" in service else "name"] == development["image"]
    url = make_url(job["variables"]["DATABASE_URL"])
    assert url.drivername.endswith(f"+{driver}")
    assert url.host == service["alias"]
    given = set(service["variables"].values()) | {"root"}
    assert {url.username, url.password, url.database} <= given


def test_sqlite_has_no_service(projects: Projects) -> None:
    project = projects.rendered(ci="gitlab", driver="aiosqlite")
    assert not {"services", "variables"} & load(project / ".gitlab-ci.yml")["check"].keys()


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(FILES, 2)))
def test_switching_the_system_makes_a_fresh_project_of_the_other(
    projects: Projects, old: str, new: str
) -> None:
    project = projects.updated(projects.rendered(ci=old), copier.VcsRef.CURRENT, ci=new)
    assert contents(project) == contents(projects.rendered(ci=new))


@pytest.mark.parametrize("ci", FILES)
@pytest.mark.parametrize("version", RELEASES)
def test_an_update_can_choose_the_system(projects: Projects, version: str, ci: str) -> None:
    project = projects.updated(projects.rendered(f"v{version}"), ci=ci)
    assert not_owned(project) == not_owned(projects.rendered(ci=ci))


@pytest.mark.parametrize("ci", FILES)
@pytest.mark.parametrize("version", [each for each in RELEASES if each != "0.1.0"])
def test_an_update_keeps_what_the_owner_did_on_each_system(
    projects: Projects, version: str, ci: str
) -> None:
    project = projects.updated(projects.edited(f"v{version}", ci=ci))
    assert not_owned(project) == not_owned(projects.edited(ci=ci))


def test_switching_the_system_keeps_the_owners_workflows(
    rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    own = project / ".github" / "workflows" / "deploy.yml"
    own.write_text("# ours\n")
    commit(project)
    update(project, copier.VcsRef.CURRENT, ci="gitlab")
    assert ci_files(project) == {".gitlab-ci.yml", ".github/workflows/deploy.yml"}
    assert own.read_text() == "# ours\n"


def test_the_owners_jobs_on_gitlab_stand_below_the_anchor(projects: Projects) -> None:
    project = projects.rendered(ci="gitlab")
    assert (project / ".gitlab-ci.yml").read_text().endswith("\n# your jobs below\n")


def test_a_project_without_the_question_stays_on_github(projects: Projects) -> None:
    """Releases before 0.2.0 did not ask."""
    before = projects.rendered("v0.1.0")
    project = projects.updated(before)
    assert answers(project)["ci"] == "github"
    checks = Path(".github", "workflows", "ci.yml")
    assert (project / checks).read_bytes() == (projects.rendered() / checks).read_bytes()
    assert ci_files(project) == FILES["github"]
