"""A private MySQL or MariaDB server for the tests: own data, own port, nothing is left of it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

__all__ = [
    "SWEEP_PREAMBLE",
    "ServerNotFoundError",
    "create_database",
    "drop_database",
    "running_server",
    "watch",
]

IMAGE = "mysql:9"
STARTUP_SECONDS = 120
UNKNOWN_DATABASE = 1008
COM_QUERY = 3  # among the commands of the protocol
FOLDERS = (os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/libexec", "/opt/homebrew/bin")
# Nothing has to survive a crash. `loose`: one of the two servers does not know the option.
SETTINGS = (
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=128M",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--max-connections=200",
    "--performance-schema=OFF",
    "--skip-log-bin",
    "--loose-mysqlx=OFF",
)
# Statements for the connection that empties all tables between two tests: rows that refer to rows
# of their own table cannot be deleted in one statement otherwise.
SWEEP_PREAMBLE: tuple[str, ...] = ("SET SESSION foreign_key_checks=0",)


class ServerNotFoundError(RuntimeError):
    """There is no database to test with; the message names the ways to get one."""


@contextmanager
def running_server(*, tls: bool = False) -> Iterator[URL]:
    """Starts a server that is stopped and deleted at the end. The URL names no database.

    With `tls` the server refuses connections without it, and the URL names its certificate.
    """
    with tempfile.TemporaryDirectory(prefix="mysql-") as name:
        folder, port = Path(name), free_port()
        url = URL.create("mysql+aiomysql", username="root", host="127.0.0.1", port=port)
        settings = list(SETTINGS)
        if tls:
            certificate, key = make_certificate(folder)
            settings += [f"--ssl-ca={certificate}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
            settings.append("--require-secure-transport=ON")
            url = url.set(host="localhost", query={"ssl_ca": str(certificate)})
        if program := find_program("mysqld") or find_program("mariadbd"):
            server = running_program(program, port, folder, settings)
        elif docker("info").returncode == 0:
            server = running_container(port, folder, settings)
        else:
            raise ServerNotFoundError(
                "No MySQL and no MariaDB for the tests. Either install one of them on this "
                "machine, or start Docker, or set TEST_DATABASE_URL to a server that may be used "
                "for tests, for example mysql+aiomysql://user:password@127.0.0.1:3306"
            )
        with server:
            yield url


async def create_database(url: URL) -> None:
    """Creates the database that `url` names."""
    await execute_on_server(url, f"CREATE DATABASE `{url.database}` CHARACTER SET utf8mb4")


async def drop_database(url: URL) -> None:
    """Drops the database that `url` names, if it is there."""
    try:
        await execute_on_server(url, f"DROP DATABASE `{url.database}`")
    except OperationalError as error:  # with IF EXISTS it would be a warning
        if error.driver_exception.args[0] != UNKNOWN_DATABASE:
            raise


async def execute_on_server(url: URL, statement: str) -> None:
    server = url.set(database="")
    engine = create_async_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def watch(engine: AsyncEngine, note: Callable[[str], None]) -> None:
    """Call `note` with the SQL of each round trip, in the context of who sends it.

    To connect, and to ping, does not count.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        raw = connection.driver_connection
        send = raw._execute_command

        def send_noted(command: int, sql: str | bytes) -> Awaitable[None]:
            if command == COM_QUERY:
                note(sql if isinstance(sql, str) else bytes(sql).decode(errors="replace"))
            sending: Awaitable[None] = send(command, sql)
            return sending

        raw._execute_command = send_noted


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the name `localhost`, its own authority, and its key."""
    if shutil.which("openssl") is None:
        raise ServerNotFoundError("No program openssl, which makes the certificate of the server.")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@contextmanager
def running_program(
    program: str, port: int, folder: Path, settings: Sequence[str]
) -> Iterator[None]:
    # A tmpdir of its own: in a shared one, servers that start at the same time meet.
    options = ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder}"]
    if os.geteuid() == 0:
        options.append("--user=root")  # both refuse to run as root unless told to
    initialize(program, options)
    options += [*settings, f"--port={port}", "--bind-address=127.0.0.1"]
    options += [f"--{name}={folder / name}" for name in ("socket", "pid-file")]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, *options], stdout=log, stderr=log) as process,
    ):
        try:
            wait_for_greeting(port, lambda: process.poll() is None, folder / "log")
            yield
        finally:
            process.kill()


def initialize(program: str, options: list[str]) -> None:
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    if "MariaDB" in version.stdout:
        command = [find_program("mariadb-install-db") or "mysql_install_db", *options]
        # Otherwise root may only come through the socket.
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    else:
        command = [program, *options, "--initialize-insecure"]
    completed = subprocess.run(command, check=False, capture_output=True, text=True)
    if completed.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{completed.stdout}{completed.stderr}")


@contextmanager
def running_container(port: int, folder: Path, settings: Sequence[str]) -> Iterator[None]:
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)  # the server in the container has another account
    name = f"tests-{uuid.uuid4().hex}"
    options = [f"--name={name}", f"--publish=127.0.0.1:{port}:3306", "--tmpfs=/var/lib/mysql"]
    options += [f"--volume={folder}:{folder}:ro", "--env=MYSQL_ALLOW_EMPTY_PASSWORD=yes"]
    try:
        started = docker("run", "--rm", "--detach", *options, IMAGE, *settings)
        if started.returncode:
            raise RuntimeError(f"docker run failed:\n{started.stderr}")
        wait_for_greeting(port, lambda: docker("top", name).returncode == 0)
        yield
    finally:
        docker("rm", "--force", "--volumes", name)


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("docker") or "false", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(FOLDERS))


def wait_for_greeting(port: int, is_running: Callable[[], bool], log: Path | None = None) -> None:
    """Returns when the server answers; it speaks first, so one byte of it is enough."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while is_running() and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    messages = log.read_text() if log and log.exists() else ""
    raise RuntimeError(f"The server did not start:\n{messages}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
