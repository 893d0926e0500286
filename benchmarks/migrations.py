"""What a change of a table blocks, and for how long: `python -m benchmarks.migrations`.

Each change is made on a table of a million rows, while one client reads a
row of it and another one updates a row, again and again. Written is how long the change took, and
the longest that each of the two waited. The figures are of this machine; those of one are in
`benchmarks/results/migrations.md`.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.machine import FETCHED_MYSQL
from tests.servers import Servers, version

FIRST = 1024  # rows; doubled until there are enough
DOUBLINGS = 10
PAUSE_SECONDS = 0.002

# What Alembic does on SQLite, where ALTER TABLE cannot do it.
COPY = (
    "CREATE TABLE items_new (id BIGINT PRIMARY KEY, owner_id INTEGER, remark VARCHAR(300),"
    " name VARCHAR(50), amount INTEGER, filler VARCHAR(200), with_default INTEGER);"
    " INSERT INTO items_new"
    " SELECT id, owner_id, remark, name, amount, filler, with_default FROM items;"
    " DROP TABLE items; ALTER TABLE items_new RENAME TO items"
)

metadata = sa.MetaData()
sa.Table("owners", metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False))
sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("owner_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(50)),
    sa.Column("note", sa.String(200)),
    sa.Column("amount", sa.Integer, nullable=False),
    sa.Column("filler", sa.String(200), nullable=False),
)


@dataclass
class Measured:
    change: str
    seconds: float
    read: float
    write: float
    error: str = ""


def on_servers(postgresql: str, mysql: str) -> dict[str, str]:
    return {"postgresql": postgresql, "mysql": mysql}


def everywhere(statement: str) -> dict[str, str]:
    return dict.fromkeys(("postgresql", "mysql", "sqlite"), statement)


CHANGES: dict[str, dict[str, str]] = {
    "add a column": everywhere("ALTER TABLE items ADD COLUMN plain INTEGER"),
    "add a column with a default": everywhere(
        "ALTER TABLE items ADD COLUMN with_default INTEGER DEFAULT 0 NOT NULL"
    ),
    "add a column with a computed default": on_servers(
        "ALTER TABLE items ADD COLUMN code UUID DEFAULT gen_random_uuid() NOT NULL",
        "ALTER TABLE items ADD COLUMN code VARCHAR(36) DEFAULT (concat('c', owner_id)) NOT NULL",
    ),
    "make a column NOT NULL": on_servers(
        "ALTER TABLE items ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE items MODIFY name VARCHAR(50) NOT NULL",
    ),
    "make a text longer, 50 to 60": on_servers(
        "ALTER TABLE items ALTER COLUMN name TYPE VARCHAR(60)",
        "ALTER TABLE items MODIFY name VARCHAR(60) NOT NULL",
    ),
    "make a text longer, 60 to 100": on_servers(
        "ALTER TABLE items ALTER COLUMN name TYPE VARCHAR(100)",
        "ALTER TABLE items MODIFY name VARCHAR(100) NOT NULL",
    ),
    "make a text longer, 200 to 300": on_servers(
        "ALTER TABLE items ALTER COLUMN note TYPE VARCHAR(300)",
        "ALTER TABLE items MODIFY note VARCHAR(300) NULL",
    ),
    "make a text shorter, 300 to 250": on_servers(
        "ALTER TABLE items ALTER COLUMN note TYPE VARCHAR(250)",
        "ALTER TABLE items MODIFY note VARCHAR(250) NULL",
    ),
    "change an Integer to BigInteger": on_servers(
        "ALTER TABLE items ALTER COLUMN amount TYPE BIGINT",
        "ALTER TABLE items MODIFY amount BIGINT NOT NULL",
    ),
    "create an index": everywhere("CREATE INDEX ix_items_amount ON items (amount)"),
    "add a unique constraint": on_servers(
        "ALTER TABLE items ADD CONSTRAINT uq_items UNIQUE (name, id)",
        "ALTER TABLE items ADD CONSTRAINT uq_items UNIQUE (name, id)",
    ),
    "add a foreign key": on_servers(
        "ALTER TABLE items ADD CONSTRAINT fk_items FOREIGN KEY (owner_id) REFERENCES owners (id)",
        "ALTER TABLE items ADD CONSTRAINT fk_items FOREIGN KEY (owner_id) REFERENCES owners (id)",
    ),
    "add a CHECK constraint": on_servers(
        "ALTER TABLE items ADD CONSTRAINT ck_items CHECK (amount >= 0)",
        "ALTER TABLE items ADD CONSTRAINT ck_items CHECK (amount >= 0)",
    ),
    "rename a column": everywhere("ALTER TABLE items RENAME COLUMN note TO remark"),
    "drop a column": everywhere("ALTER TABLE items DROP COLUMN plain"),
    "drop an index": {
        "postgresql": "DROP INDEX ix_items_amount",
        "mysql": "DROP INDEX ix_items_amount ON items",
        "sqlite": "DROP INDEX ix_items_amount",
    },
    "anything else, in a batch: the table is copied": {"sqlite": COPY},
    "create an index CONCURRENTLY": {
        "postgresql": "CREATE INDEX CONCURRENTLY ix_items_owner ON items (owner_id)"
    },
    "add a foreign key NOT VALID": {
        "postgresql": "ALTER TABLE items ADD CONSTRAINT fk_later FOREIGN KEY (owner_id)"
        " REFERENCES owners (id) NOT VALID"
    },
    "validate the foreign key": {"postgresql": "ALTER TABLE items VALIDATE CONSTRAINT fk_later"},
    "add a CHECK constraint NOT VALID": {
        "postgresql": "ALTER TABLE items ADD CONSTRAINT ck_later CHECK (remark IS NOT NULL)"
        " NOT VALID"
    },
    "validate the CHECK constraint": {
        "postgresql": "ALTER TABLE items VALIDATE CONSTRAINT ck_later"
    },
    "make its column NOT NULL": {
        "postgresql": "ALTER TABLE items ALTER COLUMN remark SET NOT NULL"
    },
    "drop the foreign key": {"mysql": "ALTER TABLE items DROP FOREIGN KEY fk_items"},
    "add it with foreign_key_checks = 0": {
        "mysql": "ALTER TABLE items ADD CONSTRAINT fk_later FOREIGN KEY (owner_id)"
        " REFERENCES owners (id), ALGORITHM=INPLACE, LOCK=NONE"
    },
    "drop the CHECK constraint": {"mysql": "ALTER TABLE items DROP CONSTRAINT ck_items"},
    "make a column NULL again": {"mysql": "ALTER TABLE items MODIFY name VARCHAR(100) NULL"},
    "remove a default": {"mysql": "ALTER TABLE items ALTER COLUMN with_default DROP DEFAULT"},
}


def connected(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def on_connect(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA busy_timeout = 600000")

    return engine


async def fill(engine: AsyncEngine) -> None:
    row = f"'a name', 'a note', 1, '{'a text ' * 20}'"
    async with engine.connect() as connection:
        await connection.run_sync(metadata.create_all)
        owners = [{"id": number} for number in range(FIRST)]
        await connection.execute(metadata.tables["owners"].insert(), owners)
        values = ", ".join(f"({number}, {number}, {row})" for number in range(FIRST))
        await connection.exec_driver_sql(f"INSERT INTO items VALUES {values}")
        for doubling in range(DOUBLINGS):
            await connection.exec_driver_sql(
                f"INSERT INTO items SELECT id + {FIRST << doubling}, owner_id, name, note, amount,"
                " filler FROM items"
            )


async def repeat(engine: AsyncEngine, statement: str, ended: asyncio.Event) -> float:
    """Return the longest that the statement took until the event."""
    longest, number = 0.0, 0
    async with engine.connect() as connection:
        while not ended.is_set():
            start, number = time.monotonic(), (number + 7919) % (FIRST << DOUBLINGS)
            with contextlib.suppress(DBAPIError):  # once, after the type of a column was changed
                await connection.execute(sa.text(statement), {"id": number})
            longest = max(longest, time.monotonic() - start)
            await asyncio.sleep(PAUSE_SECONDS)
    return longest


async def measure(engine: AsyncEngine, name: str, change: str) -> Measured:
    ended = asyncio.Event()
    parts = change.split("; ")
    statements = ["BEGIN IMMEDIATE", *parts, "COMMIT"] if change == COPY else parts
    clients = (
        "SELECT amount FROM items WHERE id = :id",
        "UPDATE items SET amount = amount + 1 WHERE id = :id",
    )
    others: list[Awaitable[float]] = [
        asyncio.create_task(repeat(engine, each, ended)) for each in clients
    ]
    error = ""
    async with engine.connect() as connection:
        await asyncio.sleep(0.5)
        if "foreign_key_checks" in name:
            await connection.exec_driver_sql("SET foreign_key_checks = 0")
        start = time.monotonic()
        try:
            for statement in statements:
                await connection.exec_driver_sql(statement)
        except Exception as raised:  # noqa: BLE001 - it is the result
            error = str(raised).splitlines()[0]
        seconds = time.monotonic() - start
        await connection.invalidate()
    await asyncio.sleep(0.2)
    ended.set()
    read, write = await asyncio.gather(*others)
    return Measured(name, seconds, read, write, error)


async def measure_all(url: URL, changes: dict[str, str]) -> list[Measured]:
    engine = connected(url)
    try:
        await fill(engine)
        return [await measure(engine, name, change) for name, change in changes.items()]
    finally:
        await engine.dispose()


def table(measured: list[Measured]) -> Iterator[str]:
    yield "| change | seconds | longest read | longest write |"
    yield "|---|--:|--:|--:|"
    for each in measured:
        if each.error:
            yield f"| {each.change} | {each.error} | | |"
        else:
            figures = " | ".join(f"{value:.2f}" for value in (each.seconds, each.read, each.write))
            yield f"| {each.change} | {figures} |"


def main(names: list[str]) -> None:
    kinds: dict[str, tuple[str, str, Path | None]] = {
        "PostgreSQL": ("postgresql", "asyncpg", None),
        "MariaDB": ("mysql", "aiomysql", None),
        "MySQL": ("mysql", "aiomysql", FETCHED_MYSQL),
        "SQLite": ("sqlite", "aiosqlite", None),
    }
    with ExitStack() as stack:
        servers = Servers(stack)
        for name in names or kinds:
            family, driver, programs = kinds[name]
            changes = {each: sql[family] for each, sql in CHANGES.items() if family in sql}
            url = servers.create_database(driver, programs)
            print(f"\n## {name}\n\n{version(url)}, {FIRST << DOUBLINGS:,} rows\n")
            print(*table(asyncio.run(measure_all(url, changes))), sep="\n", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
