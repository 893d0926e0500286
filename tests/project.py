"""Runs commands in a rendering as its owner would, with nothing of the template's around them."""

import fcntl
import itertools
import os
import shlex
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from tests.machine import missing
from tests.repository import TOP

UV = find_uv_bin()
# Long for a suite that takes half a minute; something hangs that takes longer.
PATIENCE_SECONDS = 400
# The tests that read the owner's code: an update leaves that as it is, old as it may be.
RULES = ("tests/core/test_models.py", "tests/core/test_rules.py")
OF_OWNERS = ("tests/domains", *RULES)
ROUTES = ("tests/core/test_routes.py",)  # takes as long as all tests of the samples
# What the surroundings of these tests must not tell the rendering's own tests and tools.
FOREIGN = (
    "PYTEST",
    "UV_PROJECT",
    "UV_RUN",
    "VIRTUAL_ENV",
    "PYTHONDONTWRITEBYTECODE",
    "TEST_DATABASE",
    "DATABASE",
)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    kept |= {"UV_PYTHON_DOWNLOADS": "never", **variables}
    folders = kept["PATH"].split(os.pathsep)
    others = [folder for folder in folders if not Path(folder).is_relative_to(TOP)]
    return kept | {"PATH": os.pathsep.join(others)}


def arguments(command: str) -> list[str]:
    program, *options = shlex.split(command)
    return [UV if program == "uv" else program, *options]


def run(project: Path, command: str, variables: Mapping[str, str] | None = None) -> str:
    """Returns what the command printed; fails with the end of it when the command fails."""
    with subprocess.Popen(
        arguments(command),
        cwd=project,
        env=environment(variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed = process.communicate(timeout=PATIENCE_SECONDS)[0]
        except BaseException:
            stop(process)
            raise
    end = "\n".join(printed.splitlines()[-80:])
    assert process.returncode == 0, f"`{command}` failed in {project}:\n{end}"
    return printed


class Virtualenv:
    """Environments that are used again, by one test at a time, and mypy's caches for them.

    Projects on different databases take turns in one: nearly all of their packages are the same.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack

    def __call__(
        self, project: Path, python: Path | None = None, resolution: str = "highest"
    ) -> dict[str, str]:
        """Installs exactly what the project asks for; returns the variables for its commands."""
        python = python or Path(run(project, "uv python find").strip()).resolve()
        name = f"environment-{python.name}-{resolution}"
        numbered = (f"{self.folder / name}-{number}" for number in itertools.count())
        path = next(each for each in numbered if self.is_reserved(each))
        variables = {
            "UV_PROJECT_ENVIRONMENT": path,
            "UV_RESOLUTION": resolution,
            "MYPY_CACHE_DIR": f"{path}-mypy",
            "UV_PYTHON": str(python),
        }
        run(project, "uv sync --quiet", variables)
        return variables

    def is_reserved(self, path: str) -> bool:
        """Until the end of the stack, unless another test has it."""
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT)
        self.stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def run_suite(project: Path, variables: Mapping[str, str], options: str = "") -> str:
    """Runs the project's own tests; returns how many there were and how long they took."""
    run(project, f"uv run pytest --junitxml=report.xml {options}", variables)
    suite = next(ET.parse(project / "report.xml").iter("testsuite"))
    if skipped := int(suite.attrib["skipped"]):  # it proves nothing
        missing(f"{skipped} tests of a rendering; `uv run pytest -rs` in it says why")
    return f"{suite.attrib['tests']} tests in {float(suite.attrib['time']):.0f} s"


def stop(process: subprocess.Popen[Any], first: signal.Signals = signal.SIGINT) -> None:
    """Ends what the command started, too: first as Ctrl-C does, so that it can clean up."""
    for request in (first, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, request)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=20)
            return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
