"""Runs commands in a rendering as its owner would, with nothing of the template's around them."""

import os
import shlex
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from uv import find_uv_bin

from tests.machine import missing
from tests.repository import TOP

UV = find_uv_bin()
# Long for a suite that takes half a minute; something hangs that takes longer.
PATIENCE_SECONDS = 400
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


def run_suite(project: Path, variables: Mapping[str, str]) -> str:
    """Runs the project's own tests; returns how many there were and how long they took."""
    run(project, "uv run pytest --junitxml=report.xml", variables)
    suite = next(ET.parse(project / "report.xml").iter("testsuite"))
    if skipped := int(suite.attrib["skipped"]):  # it proves nothing
        missing(f"{skipped} tests of a rendering; `uv run pytest -rs` in it says why")
    return f"{suite.attrib['tests']} tests in {float(suite.attrib['time']):.0f} s"


def stop(process: subprocess.Popen[str]) -> None:
    """Ends what the command started, too: first as Ctrl-C does, so that it can clean up."""
    for request in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, request)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=20)
            return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
