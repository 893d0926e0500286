"""What is measured: programs that serve the same requests, each on a database of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy.engine import URL

from tests.project import environment, free_port, stop

STARTUP_SECONDS = 120
# The core of what is measured, and that of everything else: the same one if it is alone.
CORES = sorted(os.sched_getaffinity(0))
FIRST_CORE, SECOND_CORE = CORES[0], CORES[min(1, len(CORES) - 1)]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A program, and what it is asked if that is not what the others are.

    `variables` returns the environment that tells it the URL of its database, or of a proxy.
    """

    name: str
    command: Sequence[str]  # {port} becomes a free port
    folder: Path  # where it runs
    url: URL  # of its database
    variables: Callable[[URL], Mapping[str, str]]
    ids: Sequence[str]  # of its users
    packages: Sequence[Path] = ()  # folders that it imports from as well
    headers: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str | None] = field(default_factory=dict)  # None: it does not serve that
    bodies: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    caveats: Mapping[str, str] = field(default_factory=dict)  # in what its work is another
    is_service: bool = False  # a rendering, which has `app.core`

    def serves(self, work: str) -> bool:
        return self.paths.get(work, "") is not None

    def path(self, work: str, usual: str) -> str:
        return self.paths.get(work) or usual

    def environment(self, url: URL, *packages: Path) -> dict[str, str]:
        folders = [str(folder) for folder in (*packages, *self.packages)]
        return environment({**self.variables(url), "PYTHONPATH": os.pathsep.join(folders)})


@dataclass(frozen=True)
class Server:
    """A target that runs."""

    target: Target
    url: str
    pid: int


@contextmanager
def running(target: Target, logs: Path, variables: Mapping[str, str]) -> Iterator[Server]:
    """Alone on the first core, with what it logs in a file."""
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in target.command]
    log = logs / f"{target.name}-{port}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["taskset", "-c", str(FIRST_CORE), *command],
            cwd=target.folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(url, process, log)
            yield Server(target, url, process.pid)
        finally:
            stop(process, signal.SIGTERM)


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False, timeout=STARTUP_SECONDS)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not answer:\n{log.read_text()[-4000:]}")
