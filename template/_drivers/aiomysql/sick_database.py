"""A database in which `app db doctor` finds everything that it looks for."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.command_line.examining.findings import Check
from app.core.command_line.examining.health_checks import WAITING

__all__ = ["EXPECTED", "LIMITS", "OTHER_CHECKS", "make_sick", "sick_sessions"]

STATEMENTS = (
    "CREATE TABLE sick_notes (body TEXT) ENGINE=MyISAM",
    """
        CREATE TABLE sick_keys (
            id INTEGER AUTO_INCREMENT PRIMARY KEY, number INTEGER,
            KEY ix_sick_number (number), KEY ix_sick_number_again (number),
            KEY ix_sick_number_id (number, id)
        ) AUTO_INCREMENT=2000000000 STATS_AUTO_RECALC=0
    """,
    "INSERT INTO sick_keys (number) VALUES (1)",
)
LIMITS: dict[str, dict[str, Any]] = {
    "bloat": {"bytes": 0, "share": 0},
    "unused-index": {"seconds": 0},
    "not-examined": {"seconds": 0},
    "long-transaction": {"seconds": 0},
    "waiting-for-lock": {"seconds": 0},
    "dead-rows": {"transactions": 0},
}
EXPECTED = (
    ("drift", "warning", "has the table sick_notes", "app db revision"),
    ("table-without-primary-key", "warning", "sick_notes", "model of sick_notes"),
    (
        "duplicate-index",
        "warning",
        "ix_sick_number_again",
        "DROP INDEX ix_sick_number_again ON sick_keys;",
    ),
    (
        "duplicate-index",
        "hint",
        "ix_sick_number_id finds all that ix_sick_number does",
        "DROP INDEX ix_sick_number ON sick_keys;",
    ),
    ("table-without-transactions", "error", "MyISAM", "ALTER TABLE `sick_notes` ENGINE=InnoDB;"),
    ("keys-nearly-used-up", "error", "sick_keys.id has used 93 %", "BigInteger"),
    ("bloat", "hint", "sick_keys takes", "OPTIMIZE TABLE `sick_keys`;"),
    ("missing-statistics", "warning", "sick_keys", "ANALYZE TABLE `sick_keys`;"),
    ("long-transaction", "warning", "is in a transaction", "KILL "),
    ("waiting-for-lock", "warning", "waits for a lock that connection", "KILL "),
    ("dead-rows", "warning", "old versions of rows", "End the long transactions"),
)


async def make_sick(connection: AsyncConnection) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the server warns of duplicate indexes
        for statement in STATEMENTS:
            await connection.execute(text(statement))


@asynccontextmanager
async def sick_sessions(engine: AsyncEngine) -> AsyncIterator[None]:
    """What is there only as long as somebody is connected."""
    lock = text("SELECT id FROM sick_keys FOR UPDATE")
    async with engine.connect() as holder, engine.connect() as waiter, engine.connect() as watcher:
        await holder.execute(lock)
        await waiter.execute(text("SET SESSION innodb_lock_wait_timeout = 600"))
        waiting = asyncio.create_task(waiter.execute(lock))
        while not (await watcher.execute(text(WAITING.query), LIMITS["waiting-for-lock"])).all():
            await watcher.execute(text("DO SLEEP(0.15)"))  # it looks again 0.1 s after a query
        try:
            yield
        finally:
            await holder.rollback()
            await waiting


OTHER_CHECKS: tuple[Check, ...] = ()
