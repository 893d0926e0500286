"""Private database servers that a test may stop, kill, freeze and start again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import URL

from tests.servers import ServerModule, Servers, server_module

# The other tests' servers may lose in a crash what they have committed.
DURABLE = {
    "asyncpg": {"synchronous_commit": "on", "full_page_writes": "on"},
    "aiomysql": ("--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=ON"),
}
# By which a server stops in good order.
STOP = {"asyncpg": signal.SIGINT, "aiomysql": signal.SIGTERM}
PATIENCE_SECONDS = 30


class DurableServers(Servers):
    """Servers that only the tests of faults use, and may harm."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.processes: dict[int, ServerProcess] = {}

    def process(self, driver: str, url: URL) -> "ServerProcess":
        """The server that `url` names."""
        assert url.port
        if url.port not in self.processes:
            self.processes[url.port] = ServerProcess(driver, url.port)
            # Who started the server does not know the processes that follow.
            self.stack.callback(self.processes[url.port].stop)
        return self.processes[url.port]

    def module(self, driver: str) -> ServerModule:
        module = server_module(driver)
        match DURABLE.get(driver), getattr(module, "SETTINGS", None):
            case dict() as more, dict() as settings:
                module.SETTINGS = settings | more  # type: ignore[attr-defined]
            case tuple() as more, tuple() as settings:
                module.SETTINGS = settings + more  # type: ignore[attr-defined]
        return module


class ServerProcess:
    """The program that listens on a port, and the processes that it has started."""

    def __init__(self, driver: str, port: int) -> None:
        self.driver = driver
        self.port = port
        self.pid = find(f"--port={port}".encode())
        folder = Path(f"/proc/{self.pid}")
        self.command = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        self.folder = (folder / "cwd").readlink()
        self.user = folder.stat().st_uid
        self.started: subprocess.Popen[bytes] | None = None

    def processes(self) -> list[int]:
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, path.read_text().split())]

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self) -> None:
        os.kill(self.pid, STOP[self.driver])
        self.wait_for_end([self.pid])

    def kill(self) -> None:
        processes = self.processes()
        self.signal(signal.SIGKILL)
        self.wait_for_end(processes)

    def wait_for_end(self, processes: list[int]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(map(is_running, processes)):
            assert time.monotonic() < deadline, f"{self.command[0]!r} does not end"
            time.sleep(0.02)
        if self.started:
            self.started.wait()

    def start(self) -> None:
        """Starts it again, and returns when it accepts connections."""
        self.started = subprocess.Popen(
            self.command,
            cwd=self.folder,
            user=self.user,
            extra_groups=[] if self.user != os.geteuid() else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self.started.pid
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not accepts(self.port, speaks_first=self.driver == "aiomysql"):
            assert self.started.poll() is None, "The server does not start again."
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


def find(option: bytes) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if option in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
    raise LookupError(option)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def accepts(port: int, *, speaks_first: bool) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return not speaks_first or bool(connection.recv(1))
    except OSError:
        return False
