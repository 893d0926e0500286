"""The scheduled job that proposes the template's update, run as its runner does it.

Its script is taken from the rendered file, its repository is a real one. Only `gh` is not the real
one: it writes down what it is asked for. GitLab is asked by options of the push: a hook writes them
down.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import copier
import pytest
import yaml

from tests.project import UV, environment
from tests.repository import ENVIRONMENT, commit, git

NEXT = "v999.1.0"
BRANCH = "template-update"
# GitLab was not an answer in the first release.
STARTS = {"github": "v0.1.0", "gitlab": "v0.2.0"}
REPOSITORY = "https://gitlab.example.com/group/service.git"
UVX = """\
#!/bin/sh
# The tests' own Copier takes the place of the newest one.
[ "$1 $3" = "--from copier" ] || exit 64
shift 3
exec {python} -m copier "$@"
"""
GH = """\
#!{python}
import json, os, sys
from pathlib import Path
calls = Path({calls!r})
earlier = calls.read_text() if calls.exists() else ""
calls.write_text(earlier + json.dumps(sys.argv[1:]) + "\\n")
if not os.environ["GH_TOKEN"]:
    sys.exit("no token")
if sys.argv[1:3] == ["pr", "create"] and '["pr", "create"' in earlier:
    sys.exit("a pull request for this branch already exists")
"""
HOOK = """\
#!{python}
import json, os
count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", 0))
options = [os.environ[f"GIT_PUSH_OPTION_{{number}}"] for number in range(count)]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(options) + "\\n")
"""


@dataclass
class Request:
    title: str
    text: str
    base: str | None
    draft: bool


@dataclass
class Service:
    """A project on GitHub or GitLab, with a bare repository as the one that everybody pushes to."""

    ci: str
    folder: Path
    script: str

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def tip(self, branch: str) -> str:
        return git("rev-parse", branch, cwd=self.origin).strip()

    def branches(self) -> set[str]:
        return set(git("branch", "--format=%(refname:short)", cwd=self.origin).split())

    def read(self, path: str) -> str:
        return git("show", f"{BRANCH}:{path}", cwd=self.origin)

    def change(self, path: str, old: str, new: str, branch: str = "main") -> None:
        """Somebody edits a file, and pushes."""
        clone = self.clone(branch)
        text = (clone / path).read_text()
        assert old in text
        (clone / path).write_text(text.replace(old, new))
        commit(clone)
        git("push", "--quiet", "origin", branch, cwd=clone)

    def clone(self, branch: str = "main") -> Path:
        """As runners do it, with the last commit only."""
        shutil.rmtree(self.folder / "clone", ignore_errors=True)
        options = ("--quiet", "--depth=1", f"--branch={branch}")
        git("clone", *options, f"file://{self.origin}", str(self.folder / "clone"))
        return self.folder / "clone"

    def run_job(self, token: str = "secret") -> subprocess.CompletedProcess[str]:
        (self.folder / "job").write_text(self.script)
        variables = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GH_TOKEN": token,
            "GITHUB_REF_NAME": "main",
            "TEMPLATE_TOKEN": token,
            "CI_COMMIT_BRANCH": "main",
            "CI_PROJECT_PATH": "group/service",
            "CI_SERVER_FQDN": "gitlab.example.com",
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", self.folder / "job"],
            cwd=self.clone(),
            env=environment(variables),
            check=False,
            capture_output=True,
            text=True,
        )

    def proposes(self) -> None:
        completed = self.run_job()
        assert completed.returncode == 0, completed.stdout + completed.stderr

    def request(self) -> Request:
        """As it is after the last run."""
        calls = self.calls
        if self.ci == "gitlab":
            options = dict(call.partition("=")[::2] for call in calls[-1])
            assert "merge_request.create" in options
            title = options["merge_request.title"]
            text = options["merge_request.description"].replace("\\n", "\n")
            draft = title.startswith("Draft: ")
            return Request(title, text, options["merge_request.target"], draft)
        if calls[-1][:2] == ["pr", "edit"]:
            ready = next(call for call in reversed(calls) if call[:2] == ["pr", "ready"])
            assert calls[-1][2] == ready[2] == BRANCH
            title, text = (value(calls[-1], option) for option in ("--title", "--body"))
            return Request(title, text, None, "--undo" in ready)
        call = calls[-1]
        assert call[:2] == ["pr", "create"]
        assert value(call, "--head") == BRANCH
        title, text, base = (value(call, option) for option in ("--title", "--body", "--base"))
        return Request(title, text, base, "--draft" in call)


def value(call: list[str], option: str) -> str:
    return call[call.index(option) + 1]


@dataclass
class Template:
    """With a release more than there is."""

    folder: Path
    # What that release has the job run, on each of the systems.
    scripts: dict[str, str]


def read_script(ci: str, project: Path) -> str:
    if ci == "gitlab":
        jobs = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
        return "\n".join(jobs["update"]["script"])
    workflow = yaml.safe_load((project / ".github" / "workflows" / "update.yml").read_text())
    [step] = [step for step in workflow["jobs"]["update"]["steps"] if "run" in step]
    assert step["shell"] == "bash"  # with `-eo pipefail`, as GitLab has it
    return str(step["run"])


@pytest.fixture(scope="module")
def template_with_next(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The release changes a line, drops a file, and asks for a newer library."""
    folder = tmp_path_factory.mktemp("next")
    clone = folder / "template"
    git("clone", "--quiet", str(template), str(clone))
    changed = clone / "template" / "Dockerfile"
    changed.write_text(changed.read_text().replace("EXPOSE 8000", "EXPOSE 8080"))
    package = clone / "template" / "pyproject.toml.jinja"
    package.write_text(package.read_text().replace('"httpx>=0.28"', '"httpx>=0.28.1"'))
    (clone / "template" / "docs" / "troubleshooting.md").unlink()
    commit(clone)
    git("tag", NEXT, cwd=clone)
    for ci in STARTS:
        copier.run_copy(str(clone), folder / ci, {"ci": ci}, defaults=True, quiet=True)
    return Template(clone, {ci: read_script(ci, folder / ci) for ci in STARTS})


@pytest.fixture(params=STARTS)
def service(
    request: pytest.FixtureRequest, template_with_next: Template, tmp_path: Path
) -> Service:
    return create_service(request.param, STARTS[request.param], template_with_next, tmp_path)


def create_service(ci: str, ref: str, template: Template, folder: Path) -> Service:
    project = folder / "project"
    data = {"ci": ci} if ref != "v0.1.0" else {}
    copier.run_copy(str(template.folder), project, data, vcs_ref=ref, defaults=True, quiet=True)
    git("init", "--quiet", "--initial-branch=main", cwd=project)
    commit(project)
    git("clone", "--quiet", "--bare", str(project), str(folder / "origin.git"))
    git("config", "receive.advertisePushOptions", "true", cwd=folder / "origin.git")
    add_programs(folder, ci)
    return Service(ci, folder, template.scripts[ci])


def add_programs(folder: Path, ci: str) -> None:
    calls, python = str(folder / "calls"), sys.executable
    (folder / "bin").mkdir()
    (folder / "bin" / "uv").symlink_to(UV)
    programs = {"bin/uvx": UVX.format(python=python)}
    if ci == "github":
        programs["bin/gh"] = GH.format(python=python, calls=calls)
    else:
        programs["origin.git/hooks/post-receive"] = HOOK.format(python=python, calls=calls)
    for path, text in programs.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        (folder / path).chmod(0o755)
    settings = folder / "gitconfig"
    shutil.copy(ENVIRONMENT["GIT_CONFIG_GLOBAL"], settings)
    replaced = f"url.file://{folder / 'origin.git'}.insteadOf"
    git("config", "--file", str(settings), replaced, REPOSITORY)


def test_an_update_that_waits_is_proposed(service: Service) -> None:
    base = service.tip("main")
    service.proposes()
    assert service.tip("main") == base
    assert git("rev-parse", f"{BRANCH}^", cwd=service.origin).strip() == base
    assert "EXPOSE 8080" in service.read("Dockerfile")
    request = service.request()
    assert request.title == f"Update the template to {NEXT}"
    assert request.text.startswith(f"From {STARTS[service.ci]} to {NEXT}.")
    assert "no longer has:\n\n- `docs/troubleshooting.md`" in request.text
    assert "onflict" not in request.text
    assert request.base == "main"
    assert not request.draft


def test_nothing_is_proposed_where_no_update_waits(
    template_with_next: Template, tmp_path: Path
) -> None:
    for ci in STARTS:
        (tmp_path / ci).mkdir()
        service = create_service(ci, NEXT, template_with_next, tmp_path / ci)
        completed = service.run_job()
        assert completed.returncode == 0, completed.stderr
        assert "There is no update." in completed.stdout
        assert service.branches() == {"main"}
        assert service.calls in ([], [["auth", "setup-git"]])


def test_an_update_with_conflicts_is_proposed_as_a_draft_that_names_them(service: Service) -> None:
    service.change("Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    service.proposes()
    request = service.request()
    assert request.draft
    assert request.title.endswith(f"Update the template to {NEXT}, with conflicts")
    assert "on this branch:\n\n- `Dockerfile`\n\n" in request.text
    both = "<<<<<<< before updating\nEXPOSE 9000\n=======\nEXPOSE 8080\n"
    assert both in service.read("Dockerfile")


def test_the_next_run_replaces_the_branch_and_the_text(service: Service) -> None:
    service.change("Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    service.proposes()
    first = service.tip(BRANCH)
    service.change("Dockerfile", "EXPOSE 9000", "EXPOSE 8000")
    service.proposes()
    assert service.tip(BRANCH) != first
    assert git("rev-parse", f"{BRANCH}^", cwd=service.origin).strip() == service.tip("main")
    request = service.request()
    assert request.title == f"Update the template to {NEXT}"
    assert not request.draft


def test_the_branch_stays_when_somebody_else_works_on_it(service: Service) -> None:
    service.change("Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    service.proposes()
    service.change("Dockerfile", "EXPOSE 9000", "EXPOSE 7000", branch=BRANCH)
    resolved, calls = service.tip(BRANCH), len(service.calls)
    completed = service.run_job()
    assert completed.returncode == 1
    assert "has commits of somebody else" in completed.stderr
    assert service.tip(BRANCH) == resolved
    assert not [call for call in service.calls[calls:] if call != ["auth", "setup-git"]]


def test_the_lock_file_follows(service: Service) -> None:
    lock = [UV, "lock", "--quiet"]
    project = service.folder / "project"
    subprocess.run([*lock, "--directory", project], check=True, env=environment({}))
    commit(project)
    git("push", "--quiet", str(service.origin), "main", cwd=project)
    service.proposes()
    assert 'specifier = ">=0.28.1"' in service.read("uv.lock")
    subprocess.run([*lock, "--check"], check=True, env=environment({}), cwd=service.clone(BRANCH))


def test_a_template_that_cannot_be_reached_fails_the_job(service: Service) -> None:
    service.change(".copier-answers.yml", "_src_path: /", "_src_path: /nowhere/")
    completed = service.run_job()
    assert completed.returncode != 0
    assert "There is no update." not in completed.stdout
    assert service.branches() == {"main"}


def test_without_its_token_the_workflow_says_so_and_does_nothing(
    template_with_next: Template, tmp_path: Path
) -> None:
    service = create_service("github", "v0.1.0", template_with_next, tmp_path)
    completed = service.run_job(token="")
    assert completed.returncode == 0
    assert completed.stdout.startswith("::warning::The secret TEMPLATE_TOKEN is not set")
    assert service.branches() == {"main"}
    assert service.calls == []
