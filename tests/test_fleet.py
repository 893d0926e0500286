"""The command of the README that updates many services at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.edits import change
from tests.project import UV, environment
from tests.repository import RELEASES, commit, git, readme_commands

OLDEST = f"v{next(iter(RELEASES))}"
BRANCH = "template-update"


@pytest.fixture
def fleet(rendered: Rendered, tmp_path: Path) -> Path:
    """Six clones, named for what becomes of them."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for name in ("conflicts", "failed branch", "failed dirty", "failed reach", "updated"):
        rendered(folder / name, OLDEST)
    rendered(folder / "current")
    change(folder / "failed dirty", "README.md", "", "Not committed.\n")
    git("branch", BRANCH, cwd=folder / "failed branch")
    answers = folder / "failed reach" / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("_src_path: /", "_src_path: /nowhere/"))
    commit(folder / "failed reach")
    # The template has added a file of this name since.
    workflow = folder / "conflicts" / ".github" / "workflows" / "update.yml"
    workflow.write_text("# ours\n")
    commit(folder / "conflicts")
    return folder


def test_the_command_says_what_became_of_each_service(fleet: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "uv").symlink_to(UV)
    (programs / "uvx").write_text(f'#!/bin/sh\nexec {sys.executable} -m "$@"\n')
    (programs / "uvx").chmod(0o755)
    variables = environment({})
    variables["PATH"] = f"{programs}:{variables['PATH']}"
    (command,) = readme_commands("## Fleets")
    completed = subprocess.run(
        ["bash", "-c", command],
        cwd=fleet,
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    names = ["conflicts", "current", "failed branch", "failed dirty", "failed reach", "updated"]
    *lines, conflicts, current, failed, updated = completed.stdout.splitlines()
    assert lines == [f"{name.split()[0]} {name}" for name in names]
    counted = [line.split() for line in (conflicts, current, failed, updated)]
    assert counted == [["1", "conflicts"], ["1", "current"], ["3", "failed"], ["1", "updated"]]
    assert git("status", "--porcelain", cwd=fleet / "updated") == ""
    assert (fleet / "updated" / ".github" / "workflows" / "update.yml").exists()
    branches = {name: git("branch", "--show-current", cwd=fleet / name).strip() for name in names}
    main = git("branch", "--show-current", cwd=fleet / "current").strip()
    assert [name for name in names if branches[name] == main] == [
        "current",
        "failed branch",
        "failed dirty",
        "failed reach",
    ]
    assert (fleet / "failed dirty" / "README.md").read_text().endswith("Not committed.\n")
    assert "README.md" in (fleet / "failed dirty.log").read_text()
    assert "update.yml" in (fleet / "conflicts.log").read_text()
