"""Servers that lose nothing that they have acknowledged, as the tests' own servers may."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from tests.servers import ServerModule, Servers

# What replaces the settings of the tests' servers. SQLite's are those of each connection.
POSTGRESQL = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on")
MYSQL = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=ON")
# What the server says of itself: the names, and where its files are.
ASKED: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "postgresql": ("current_setting('{}')", tuple(POSTGRESQL), "data_directory"),
    "mysql": ("@@{}", ("innodb_flush_log_at_trx_commit", "innodb_doublewrite"), "datadir"),
}
SQLITE = "WAL, `synchronous=FULL`"


class DurableServers(Servers):
    def module(self, driver: str) -> ServerModule:
        module = super().module(driver)
        names = vars(module)
        if driver == "asyncpg":
            names["SETTINGS"] = names["SETTINGS"] | POSTGRESQL
        elif driver == "aiomysql":
            names["SETTINGS"] = (*names["SETTINGS"], *MYSQL)  # the last one counts
        return module


def durability(url: URL) -> str:
    """What the server does for it, as it says itself, and where its files are."""
    if url.get_backend_name() == "sqlite":
        return f"{SQLITE}, {place(Path(url.database or ''))}"
    function, names, folder = ASKED[url.get_backend_name()]
    columns = [function.format(name) for name in (*names, folder)]
    *values, path = asyncio.run(first_row(url, f"SELECT {', '.join(columns)}"))
    settings = [f"`{name}={value}`" for name, value in zip(names, values, strict=True)]
    return f"{', '.join(settings)}, {place(Path(path))}"


async def first_row(url: URL, statement: str) -> list[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        row = (await connection.execute(text(statement))).one()
    await engine.dispose()
    return [str(value) for value in row]


def place(path: Path) -> str:
    if not path.exists():
        return "files in the memory of a container"
    return f"files on {file_system(path)}"


def file_system(path: Path) -> str:
    """Its kind: tmpfs is memory."""
    found = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        folder, kind = re.split(" ", line)[1:3]
        found[Path(folder)] = kind
    return next(found[each] for each in (path, *path.resolve().parents) if each in found)
