"""The template's git repository and its releases."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
# The tag that the tests' clone gives to the files as they lie here: newer than any release.
WORK = "v999.0.0"
DRIVERS = ("asyncpg", "aiomysql", "aiosqlite")
# No settings and no hooks of the developer's.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": str(TOP / "tests" / "gitconfig"),
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(*arguments: str, cwd: Path = TOP) -> str:
    completed = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        check=False,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, f"git {arguments} in {cwd}:\n{completed.stderr}"
    return completed.stdout


def commit(project: Path) -> None:
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--allow-empty", "--no-verify", "--message=All", cwd=project)


def releases() -> dict[str, str]:
    """From version to commit: those that changed `version` in pyproject.toml, oldest first."""
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise RuntimeError(
            "This clone is shallow, and its history has the releases: run `git fetch --unshallow`; "
            "in CI, check out with `fetch-depth: 0`."
        )
    found: dict[str, str] = {}
    changes = (
        "--first-parent",
        "--reverse",
        "--format=%H",
        "-G^version = ",
        "--",
        "pyproject.toml",
    )
    for sha in git("log", *changes).split():
        project = tomllib.loads(git("show", f"{sha}:pyproject.toml"))["project"]
        found.setdefault(project["version"], sha)
    return found


def notes_since(version: str) -> str:
    """What CHANGELOG.md says about later versions, and about what no version has yet."""
    changes = (TOP / "CHANGELOG.md").read_text()
    heading = re.search(rf"^## \[?{re.escape(version)}\b", changes, flags=re.MULTILINE)
    assert heading, f"CHANGELOG.md has no heading {version}."
    return changes[: heading.start()]


def readme_commands(section: str) -> list[str]:
    """The blocks of commands in a section of the README, which is named by its heading."""
    text = (TOP / "README.md").read_text().partition(f"\n{section}\n")[2]
    text = re.split(r"^#+ ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```(?:ba)?sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def tagged_clone(clone: Path) -> Path:
    """A clone of the template with each release tagged, and the files as they are here as WORK."""
    git("clone", "--quiet", "--no-tags", str(TOP), str(clone))
    for version, sha in RELEASES.items():
        git("tag", f"v{version}", sha, cwd=clone)
    git(f"--git-dir={clone / '.git'}", f"--work-tree={TOP}", "add", "--all")
    git("commit", "--quiet", "--allow-empty", "--no-verify", "--message=Work", cwd=clone)
    git("reset", "--quiet", "--hard", cwd=clone)
    git("tag", WORK, cwd=clone)
    return clone


RELEASES = releases()
PRESENT: str = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
