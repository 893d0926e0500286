"""A rendered service that runs as in production: its Dockerfile's command, with two workers."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.engine import URL

from tests.faults.ledger import Ledger
from tests.project import environment, free_port, stop
from tests.servers import written

# Low, so that a test need not wait long.
REQUEST_SECONDS = 2.0
READY_SECONDS = 1.0
TIMEOUTS = {
    "DATABASE_POOL_SIZE": "4",
    "DATABASE_POOL_TIMEOUT_SECONDS": "0.5",
    "DATABASE_CONNECT_TIMEOUT_SECONDS": "1",
    "DATABASE_STATEMENT_TIMEOUT_SECONDS": "1.5",
    "DATABASE_LOCK_TIMEOUT_SECONDS": "1",
    "DATABASE_REQUEST_TIMEOUT_SECONDS": str(REQUEST_SECONDS),
    "READY_TIMEOUT_SECONDS": str(READY_SECONDS),
}
# What a machine with other work may add to a deadline.
MARGIN_SECONDS = 2.0
STARTUP_SECONDS = 60


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    port: int
    client: httpx.AsyncClient
    log_file: Path

    def ledger(self) -> Ledger:
        return Ledger(self.client)

    def workers(self) -> list[int]:
        """The processes that serve; beside them is one that has resources to clean up."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        children = map(int, path.read_text().split())
        return [each for each in children if b"spawn_main" in command_line(each)]

    async def wait_until_alive(self) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            answer = await self.ledger().send("GET", "/health/live")
            if answer.status == 200:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"The service does not answer:\n{self.log_file.read_text()}")

    async def ended(self, *, seconds: float = 30.0) -> int:
        """Waits for the end of the process, and returns its exit status."""
        return await asyncio.to_thread(self.process.wait, seconds)


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def command(project: Path, variables: Mapping[str, str], port: int) -> list[str]:
    """The last command of the Dockerfile, on a port of the test's."""
    lines = (project / "Dockerfile").read_text().splitlines()
    given = next(line for line in reversed(lines) if line.startswith("CMD "))
    program, *options = json.loads(given.removeprefix("CMD "))
    options[options.index("--host") + 1] = "127.0.0.1"
    options[options.index("--port") + 1] = str(port)
    folder = variables["UV_PROJECT_ENVIRONMENT"]
    # Uvicorn would close an idle connection after 5 seconds, perhaps while a request is sent.
    return [f"{folder}/bin/{program}", *options, "--workers", "2", "--timeout-keep-alive", "60"]


def start(
    command: list[str], project: Path, variables: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=project,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@asynccontextmanager
async def serving(
    project: Path, variables: Mapping[str, str], url: URL, **settings: str
) -> AsyncIterator[Service]:
    port = free_port()
    log = project.with_suffix(".log")
    own = environment({**variables, **TIMEOUTS, **settings, "DATABASE_URL": written(url)})
    process = start(command(project, variables, port), project, own, log)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits, trust_env=False
        ) as client:
            service = Service(process, port, client, log)
            await service.wait_until_alive()
            yield service
    finally:
        stop(process, signal.SIGKILL)
