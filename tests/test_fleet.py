"""The command of the README that updates many services at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.edits import change
from tests.project import UV, environment, run
from tests.repository import RELEASES, WORK, commit, git, readme_commands
from tests.updates import point_to

OLDEST = f"v{next(iter(RELEASES))}"
BRANCH = "template-update"
NAMES = [
    "-x",
    "conflicts",
    "current",
    "failed branch",
    "failed dirty",
    "failed lower",
    "failed midway",
    "failed reach",
    "unfinished lock",
    "unfinished table",
    "updated",
]


@pytest.fixture
def fleet(rendered: Rendered, template: Path, tmp_path: Path) -> Path:
    """Clones, named for what becomes of them."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for name in NAMES:
        if name != "current":
            rendered(folder / name, WORK if name == "failed lower" else OLDEST)
    rendered(folder / "current")
    change(folder / "failed dirty", "README.md", "", "Not committed.\n")
    git("branch", BRANCH, cwd=folder / "failed branch")
    answers = folder / "failed reach" / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("_src_path: /", "_src_path: /nowhere/"))
    commit(folder / "failed reach")
    # Its template has lost its newest release since.
    shorter = tmp_path / "shorter"
    git("clone", "--quiet", str(template), str(shorter))
    git("tag", "--delete", WORK, cwd=shorter)
    point_to(shorter, folder / "failed lower")
    commit(folder / "failed lower")
    # Copier reads names as git quotes them: it fails when it has written nearly everything.
    midway = folder / "failed midway"
    git("config", "core.quotePath", "false", cwd=midway)
    change(midway, ".gitignore", ".env\n", ".env\n*.txt\n")
    commit(midway)
    (midway / "größe.txt").write_text("Ignored.\n")
    # The template has added the same table since, and needs a newer typer.
    scripts = '\n[project.scripts]\nours = "x:y"\n\n[tool.mypy]\n'
    change(folder / "unfinished table", "pyproject.toml", "\n[tool.mypy]\n", scripts)
    anchor = "  # your dependencies below\n]\n\n[dependency-groups]"
    bound = anchor.replace("]", '  "typer<0.26",\n]', 1)
    change(folder / "unfinished lock", "pyproject.toml", anchor, bound)
    run(folder / "unfinished lock", "uv lock --quiet")
    for name in ("unfinished table", "unfinished lock"):
        commit(folder / name)
    change(folder / "-x", ".gitignore", ".env\n", ".env\ndata*/\n")
    commit(folder / "-x")
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
    *lines, conflicts, current, failed, unfinished, updated = completed.stdout.splitlines()
    assert sorted(lines) == sorted(
        "updated -x" if name == "-x" else f"{name.split()[0]} {name}" for name in NAMES
    )
    counted = [line.split() for line in (conflicts, current, failed, unfinished, updated)]
    assert counted == [
        ["1", "conflicts"],
        ["1", "current"],
        ["5", "failed"],
        ["2", "unfinished"],
        ["2", "updated"],
    ]
    status = {name: git("status", "--porcelain", cwd=fleet / name) for name in NAMES}
    assert [name for name in NAMES if status[name]] == ["conflicts", "failed dirty"]
    assert (fleet / "updated" / ".github" / "workflows" / "update.yml").exists()
    branches = {name: git("branch", "--show-current", cwd=fleet / name).strip() for name in NAMES}
    main = git("branch", "--show-current", cwd=fleet / "current").strip()
    failed_ones = [name for name in NAMES if name.startswith("failed")]
    assert [name for name in NAMES if branches[name] == main] == ["current", *failed_ones]
    assert BRANCH not in git("branch", cwd=fleet / "failed midway")
    assert (fleet / "failed dirty" / "README.md").read_text().endswith("Not committed.\n")
    logs = {name: (fleet / f"{name}.log").read_text() for name in NAMES}
    assert "README.md" in logs["failed dirty"]
    assert "UnicodeDecodeError" in logs["failed midway"]
    assert '"latest_version"' in logs["failed lower"]
    assert "update.yml" in logs["conflicts"]
    assert "typer>=0.26.1" in logs["unfinished lock"]
    assert "duplicate key" in logs["unfinished table"]
    assert "data_copy/copying.py" in logs["-x"]
    assert "data_copy/copying.py" in git("ls-files", cwd=fleet / "-x")
    for name in ("unfinished lock", "unfinished table"):
        message = git("log", "-1", "--format=%s", cwd=fleet / name)
        assert message == "Update from the template: uv lock failed\n"
