"""What this machine has: Pythons, a browser, and perhaps a real MySQL. Nothing is downloaded."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

OLDEST = (3, 11)
# Where Pythons are that are not on the PATH: pyenv, uv, GitHub's runners, Debian.
PYTHON_FOLDERS = (
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/*/bin",
    "/opt/hostedtoolcache/Python/*/*/bin",
    "/usr/local/bin",
    "/usr/bin",
)
QUESTION = (
    "import os, sys; v = sys.version_info;"
    " print(v.major, v.minor, v.releaselevel, os.path.realpath(sys.executable))"
)
# Where .ci/mysql puts a real MySQL.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
FETCHED_MYSQL = CACHE / "async-sqlalchemy-template" / "mysql" / "bin"


def missing(what: str) -> NoReturn:
    """A newcomer may lack it and goes on; the CI runner may not."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"NOT RUN: {what}")
    pytest.skip(f"NOT RUN: {what}")


def oldest_python() -> Path:
    """The oldest Python that the renderings support."""
    if OLDEST not in pythons():
        missing("the checks on the oldest supported Python: install Python 3.11")
    return pythons()[OLDEST]


def newest_python() -> Path:
    version = max(pythons(), default=OLDEST)
    if version <= OLDEST:
        missing("the checks on a newer Python: this machine has none, install 3.12 or newer")
    return pythons()[version]


@cache
def pythons() -> dict[tuple[int, int], Path]:
    """From version to program; what does not run, such as a shim of pyenv, is left out."""
    found: dict[tuple[int, int], Path] = {}
    for path in candidates():
        answer = subprocess.run([path, "-c", QUESTION], check=False, capture_output=True, text=True)
        match answer.stdout.split(maxsplit=3):
            case [major, minor, "final", program]:
                found.setdefault((int(major), int(minor)), Path(program.strip()))
    return found


def candidates() -> Iterator[Path]:
    for name in os.environ["PATH"].split(os.pathsep):
        yield from Path(name).glob("python3.[0-9][0-9]")
    for pattern in PYTHON_FOLDERS:
        path = Path(pattern).expanduser().relative_to("/")
        yield from Path("/").glob(f"{path}/python3.[0-9][0-9]")


def browser() -> str:
    """A Chromium, or what is made of it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if program := shutil.which(name):
            return program
    missing("the pages of the documentation in a browser: install chromium")


def real_mysql() -> Path:
    """The folder with a `mysqld` that is MySQL's own, and not MariaDB's program of that name."""
    folders = [str(FETCHED_MYSQL), *os.environ["PATH"].split(os.pathsep), "/usr/sbin"]
    for folder in folders:
        if program := shutil.which("mysqld", path=folder):
            version = subprocess.run([program, "--version"], check=False, capture_output=True)
            if version.returncode == 0 and b"MariaDB" not in version.stdout:
                return Path(folder)
    # Not even the CI runner must have it: it comes from a mirror that moves.
    pytest.skip("NOT RUN: aiomysql on a real MySQL: there is none, `.ci/mysql` fetches one")
