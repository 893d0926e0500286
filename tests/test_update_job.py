"""The scheduled job that proposes the template's update, run as its runner does it.

Its scripts are taken from the rendered file, its repository is a real one. Only `gh` is not the
real one: it writes down what it is asked for, and remembers the pull requests. GitLab is asked by
options of the push: a hook writes them down.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import copier
import pytest
import yaml

from tests.git_server import served
from tests.project import UV, environment, run
from tests.repository import ENVIRONMENT, TOP, commit, git

NEXT = "v999.1.0"
BRANCH = "template-update"
# GitLab was not an answer in the first release.
STARTS = {"github": "v0.1.0", "gitlab": "v0.2.0"}
TOKEN = "tp-4f1c9a"
SECRET = "${{ secrets.TEMPLATE_TOKEN }}"
REPOSITORY = "https://gitlab.example.com/group/service.git"
UVX = """\
#!/bin/sh
# The tests' own Copier takes the place of the newest one.
[ "$1 $3" = "--from copier" ] || exit 64
{{ env; git config --list; }} >> {seen}
shift 3
exec {python} -m copier "$@"
"""
UV_SEEN = """\
#!/bin/sh
{{ env; git config --list; }} >> {seen}
exec {uv} "$@"
"""
GH = """\
#!{python}
import json, os, sys
from pathlib import Path
folder = Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if not os.environ["GH_TOKEN"]:
    sys.exit("no token")
requests = folder / "requests"
listed = requests.read_text() if requests.exists() else ""
if (folder / "no drafts").exists() and {{"--draft", "--undo"}} & {{*sys.argv}}:
    sys.exit("Draft pull requests are not supported in this repository")
if sys.argv[1:3] == ["pr", "list"]:
    if (folder / "no list").exists():
        sys.exit("HTTP 502: Bad Gateway")
    print(listed, end="")
if sys.argv[1:3] == ["pr", "create"]:
    if "OPEN " in listed:
        sys.exit("a pull request for this branch already exists")
    requests.write_text(f"OPEN {{sys.argv[sys.argv.index('--title') + 1]}}\\n" + listed)
"""
HOOK = """\
#!{python}
import json, os
count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", 0))
options = [os.environ[f"GIT_PUSH_OPTION_{{number}}"] for number in range(count)]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(options) + "\\n")
"""


# What a runner runs in one shell, and the environment that is this step's alone.
Step = tuple[str, dict[str, str]]


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
    steps: list[Step]

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

    def run_job(self, token: str = TOKEN, server: str = "") -> subprocess.CompletedProcess[str]:
        """Runs one step after the other, in one clone, until one fails."""
        clone, temporary = self.clone(), self.folder / "runner"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        common = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "UV_CACHE_DIR": uv_cache(),
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "TMPDIR": str(temporary),
        }
        common |= {
            "github": {
                "GITHUB_REF_NAME": "main",
                "GITHUB_SERVER_URL": server or "https://github.com",
                "RUNNER_TEMP": str(temporary),
            },
            "gitlab": {
                "CI_COMMIT_BRANCH": "main",
                "CI_PROJECT_PATH": "group/service",
                "CI_SERVER_URL": server or "https://gitlab.example.com",
                "TEMPLATE_TOKEN": token,
            },
        }[self.ci]
        printed = ["", ""]
        for script, variables in self.steps:
            (self.folder / "job").write_text(script)
            secrets = {name: text.replace(SECRET, token) for name, text in variables.items()}
            completed = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", self.folder / "job"],
                cwd=clone,
                env=environment(common | secrets),
                check=False,
                capture_output=True,
                text=True,
            )
            printed = [printed[0] + completed.stdout, printed[1] + completed.stderr]
            if completed.returncode:
                break
        return subprocess.CompletedProcess([], completed.returncode, *printed)

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


@cache
def uv_cache() -> str:
    """The tests' own, which is not in the runner's home."""
    return run(TOP, "uv cache dir").strip()


def value(call: list[str], option: str) -> str:
    return call[call.index(option) + 1]


@dataclass
class Template:
    """With a release more than there is."""

    folder: Path
    # What that release has the job run, on each of the systems.
    steps: dict[str, list[Step]]


def read_steps(ci: str, project: Path) -> list[Step]:
    if ci == "gitlab":
        jobs = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
        return [("\n".join(jobs["update"]["script"]), {})]
    workflow = yaml.safe_load((project / ".github" / "workflows" / "update.yml").read_text())
    assert "env" not in workflow
    assert "env" not in workflow["jobs"]["update"]
    steps = [step for step in workflow["jobs"]["update"]["steps"] if "run" in step]
    assert {step["shell"] for step in steps} == {"bash"}  # with `-eo pipefail`, as GitLab has it
    return [(step["run"], step.get("env", {})) for step in steps]


@pytest.fixture(scope="module")
def template_with_next(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The release changes a line, drops a file, adds one, and asks for a newer library."""
    folder = tmp_path_factory.mktemp("next")
    clone = folder / "template"
    git("clone", "--quiet", str(template), str(clone))
    changed = clone / "template" / "Dockerfile"
    changed.write_text(changed.read_text().replace("EXPOSE 8000", "EXPOSE 8080"))
    package = clone / "template" / "pyproject.toml.jinja"
    package.write_text(package.read_text().replace('"httpx>=0.28"', '"httpx>=0.28.1"'))
    (clone / "template" / "docs" / "troubleshooting.md").unlink()
    (clone / "template" / "docs" / "größe.md").write_text("Neu.\n")
    commit(clone)
    git("tag", NEXT, cwd=clone)
    for ci in STARTS:
        copier.run_copy(str(clone), folder / ci, {"ci": ci}, defaults=True, quiet=True)
    return Template(clone, {ci: read_steps(ci, folder / ci) for ci in STARTS})


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
    return Service(ci, folder, template.steps[ci])


def add_programs(folder: Path, ci: str) -> None:
    python, seen = sys.executable, shlex.quote(str(folder / "seen"))
    programs = {
        "bin/uvx": UVX.format(python=python, seen=seen),
        "bin/uv": UV_SEEN.format(uv=UV, seen=seen),
    }
    if ci == "github":
        programs["bin/gh"] = GH.format(python=python, folder=str(folder))
    else:
        calls = str(folder / "calls")
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
        newest = NEXT.removeprefix("v")
        said = f"There is no update. The service is at {newest}, the newest release.\n"
        assert completed.stdout == said
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


def add_lock_file(service: Service) -> None:
    project = service.folder / "project"
    git("pull", "--quiet", str(service.origin), "main", cwd=project)
    run(project, "uv lock --quiet")
    commit(project)
    git("push", "--quiet", str(service.origin), "HEAD:main", cwd=project)


def test_an_update_that_cannot_be_locked_is_a_draft_that_says_why(service: Service) -> None:
    anchor = "  # your dependencies below\n]\n"
    service.change("pyproject.toml", anchor, anchor.replace("]", '  "httpx<0.28.1",\n]'))
    add_lock_file(service)
    service.proposes()
    request = service.request()
    assert request.draft
    assert request.title.endswith(f"Update the template to {NEXT}, unfinished")
    assert "\n\n`uv lock` failed. " in request.text
    [reason] = re.findall("^    .*", request.text, flags=re.MULTILINE | re.DOTALL)
    assert "httpx>=0.28.1" in reason
    assert "EXPOSE 8080" in service.read("Dockerfile")


@pytest.mark.parametrize("lock_file", [True, False])
def test_an_update_that_makes_invalid_toml_is_a_draft_that_says_where(
    service: Service, lock_file: bool
) -> None:
    """Both have added the same table: there is no conflict, and one of them is too many."""
    service.change(
        "pyproject.toml", "\n[tool.mypy]\n", '\n[project.scripts]\nours = "x:y"\n\n[tool.mypy]\n'
    )
    if lock_file:
        add_lock_file(service)
    service.proposes()
    request = service.request()
    assert request.draft
    assert request.title.endswith(", unfinished")
    line = service.read("pyproject.toml").splitlines().index("[project.scripts]", 60) + 1
    assert f"TOML parse error at line {line}" in request.text
    assert "duplicate key" in request.text
    assert "onflict" not in request.text
    assert ("uv.lock" in git("ls-tree", "--name-only", BRANCH, cwd=service.origin)) == lock_file


def test_what_the_owners_gitignore_hides_is_brought_and_named(service: Service) -> None:
    service.change(".gitignore", ".env\n", ".env\ndata*/\ndocs/gr*\n")
    service.proposes()
    added = service.request().text.partition(
        "New files, added although `.gitignore` matches them:\n\n"
    )[2]
    lines = added.partition("\n\n")[0].splitlines()
    assert "- `docs/größe.md`" in lines
    assert "- `data_copy/copying.py`" in lines
    assert all(
        line.startswith(("- `data_copy/", "- `docs/gr", "- `tests/data_copy/")) for line in lines
    )
    assert service.read("docs/größe.md") == "Neu.\n"
    assert "async def" in service.read("data_copy/copying.py")


def test_names_are_not_quoted(template_with_next: Template, tmp_path: Path) -> None:
    for ci in STARTS:
        (tmp_path / ci).mkdir()
        service = create_service(ci, NEXT, template_with_next, tmp_path / ci)
        template = own_template(service, template_with_next)
        (template / "template" / "docs" / "größe.md").unlink()
        commit(template)
        git("tag", "v999.2.0", cwd=template)
        service.proposes()
        assert "no longer has:\n\n- `docs/größe.md`" in service.request().text


def test_nothing_new_is_not_pushed_again(service: Service) -> None:
    service.change("Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    service.proposes()
    first, calls = service.tip(BRANCH), len(service.calls)
    completed = service.run_job()
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.endswith("Nothing new, nothing pushed.\n")
    assert service.tip(BRANCH) == first
    assert [call[:2] for call in service.calls[calls:]] in ([], [["pr", "list"]])


@pytest.fixture
def github(template_with_next: Template, tmp_path: Path) -> Service:
    return create_service("github", STARTS["github"], template_with_next, tmp_path)


def test_only_what_is_open_counts_as_open(github: Service) -> None:
    """GitHub could not be asked, and nothing was pushed; then it was pushed and not opened."""
    (github.folder / "no list").touch()
    assert github.run_job().returncode != 0
    assert github.branches() == {"main"}
    (github.folder / "no list").unlink()
    github.proposes()
    pushed = github.tip(BRANCH)
    (github.folder / "requests").unlink()
    github.proposes()
    assert github.tip(BRANCH) == pushed
    assert [call[:2] for call in github.calls].count(["pr", "create"]) == 2
    [listing] = {tuple(call) for call in github.calls if call[:2] == ["pr", "list"]}
    assert listing[-1] == '.[] | select(.isCrossRepository | not) | .state + " " + .title'


def test_a_pull_request_that_was_closed_stays_closed_until_there_is_another(
    github: Service,
) -> None:
    requests = github.folder / "requests"
    requests.write_text(f"CLOSED Update the template to {NEXT}\n")
    completed = github.run_job()
    assert completed.returncode == 0
    assert "was closed, not merged" in completed.stdout
    assert github.branches() == {"main"}
    requests.write_text(f"MERGED Update the template to {NEXT}\nCLOSED Update the template to v1\n")
    github.proposes()
    assert github.request().title == f"Update the template to {NEXT}"


def test_without_drafts_the_title_says_enough(github: Service) -> None:
    (github.folder / "no drafts").touch()
    github.change("Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    github.proposes()
    assert not github.request().draft
    assert github.request().title.endswith(", with conflicts")
    github.change("Dockerfile", "EXPOSE 9000", "EXPOSE 9001")
    github.proposes()
    assert github.calls[-1][:2] == ["pr", "edit"]


def test_a_template_whose_newest_release_was_withdrawn_fails_the_job(
    template_with_next: Template, tmp_path: Path
) -> None:
    for ci in STARTS:
        (tmp_path / ci).mkdir()
        service = create_service(ci, NEXT, template_with_next, tmp_path / ci)
        template = own_template(service, template_with_next)
        git("tag", "--delete", NEXT, cwd=template)
        completed = service.run_job()
        assert completed.returncode == 1
        assert re.search(r"The service is at \S*999\.0\.0\.post1\S*, and", completed.stderr)
        assert "newest release is 999.0.0, which is lower" in completed.stderr
        assert service.branches() == {"main"}


@pytest.mark.parametrize("tags", [True, False])
def test_a_template_whose_history_was_rewritten_fails_the_job(
    service: Service, template_with_next: Template, tags: bool
) -> None:
    template = own_template(service, template_with_next)
    git("checkout", "--quiet", "--orphan", "rewritten", cwd=template)
    commit(template)
    for branch in git("branch", "--format=%(refname:short)", cwd=template).split():
        if branch != "rewritten":
            git("branch", "--quiet", "--delete", "--force", branch, cwd=template)
    git("remote", "remove", "origin", cwd=template)
    git("tag", "--delete", *git("tag", cwd=template).split(), cwd=template)
    if tags:
        git("tag", "v1000.0.0", cwd=template)
    completed = service.run_job()
    assert completed.returncode == 1
    newest = "v1000.0.0" if tags else git("rev-parse", "--short", "HEAD", cwd=template).strip()
    assert (
        f"The service is at {STARTS[service.ci]}. The template is at {newest}," in completed.stderr
    )
    assert service.branches() == {"main"}


def own_template(service: Service, template: Template) -> Path:
    """A clone of the template for the service alone."""
    own = service.folder / "template"
    git("clone", "--quiet", str(template.folder), str(own))
    service.change(".copier-answers.yml", f"_src_path: {template.folder}\n", f"_src_path: {own}\n")
    return own


def test_only_git_sees_the_token_and_a_private_template_is_read(
    service: Service, template_with_next: Template
) -> None:
    """Both repositories are private. Copier and uv, and all they leave, are searched."""
    bare = service.folder / "template.git"
    git("clone", "--quiet", "--bare", str(template_with_next.folder), str(bare))
    with served(service.folder, TOKEN) as server:
        source = f"_src_path: {template_with_next.folder}\n"
        service.change(".copier-answers.yml", source, f"_src_path: {server}/template.git\n")
        for address in (f"file://{service.origin}", f"{server}/group/service.git"):
            rewritten = f"url.{server}/origin.git.insteadOf"
            settings = str(service.folder / "gitconfig")
            git("config", "--file", settings, "--add", rewritten, address)
        (service.folder / "home").mkdir()

        assert service.run_job("wrong", server).returncode != 0
        assert service.branches() == {"main"}
        completed = service.run_job(TOKEN, server)

    assert completed.returncode == 0, completed.stderr
    assert "EXPOSE 8080" in service.read("Dockerfile")
    assert TOKEN not in completed.stdout + completed.stderr
    assert "GIT_CONFIG_COUNT=1" in (service.folder / "seen").read_text()
    places = [service.folder / name for name in ("seen", "gitconfig", "home", "runner", "clone")]
    files = [file for place in places for file in [place, *place.rglob("*")] if file.is_file()]
    assert len(files) > 100
    assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []


def test_an_empty_token_fails_the_job_of_gitlab_and_says_so(
    template_with_next: Template, tmp_path: Path
) -> None:
    service = create_service("gitlab", STARTS["gitlab"], template_with_next, tmp_path)
    completed = service.run_job(token="")
    assert completed.returncode == 1
    assert "The variable TEMPLATE_TOKEN is empty" in completed.stderr
    assert service.branches() == {"main"}


def test_the_job_runs_the_copier_that_is_tested(template_with_next: Template) -> None:
    for steps in template_with_next.steps.values():
        [pinned] = re.findall(r"copier==(\S+)", "\n".join(script for script, _ in steps))
        assert pinned == version("copier")


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
