"""A database in which `app db doctor` finds everything that it looks for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.command_line.examining.findings import Check, Finding
from app.core.command_line.examining.health_checks import HIDDEN_SESSIONS, WAITING

__all__ = ["EXPECTED", "LIMITS", "OTHER_CHECKS", "make_sick", "sick_sessions"]

STATEMENTS = (
    "CREATE TABLE sick_notes (body TEXT)",
    "CREATE TABLE sick_keys (id SERIAL PRIMARY KEY, parent_id INTEGER REFERENCES sick_keys)",
    "SELECT setval('sick_keys_id_seq', 2000000000)",
    "CREATE TABLE sick_rows (id INTEGER PRIMARY KEY, number INTEGER, body TEXT)",
    "INSERT INTO sick_rows SELECT each, each, repeat('x', 100) FROM generate_series(1, 2000) each",
    "DELETE FROM sick_rows WHERE id < 1990",
    "VACUUM (ANALYZE) sick_rows",
    "CREATE INDEX ix_sick_rows_number ON sick_rows (number)",
    "CREATE INDEX ix_sick_rows_number_again ON sick_rows (number)",
    "CREATE INDEX ix_sick_rows_number_id ON sick_rows (number, id)",
    "CREATE TABLE sick_imports (id INTEGER PRIMARY KEY, number INTEGER)",
    "INSERT INTO sick_imports SELECT each, each % 7 FROM generate_series(1, 50) each",
    "DELETE FROM sick_imports WHERE id > 20",
    """
        ALTER TABLE sick_imports
        ADD CONSTRAINT fk_sick FOREIGN KEY (id) REFERENCES sick_keys NOT VALID
    """,
)
LIMITS: dict[str, dict[str, Any]] = {
    "unused-index": {"bytes": 0, "seconds": 0},
    "missing-statistics": {"bytes": 1},
    "dead-rows": {"rows": 20},
    "bloat": {"bytes": 100_000},
    "old-transaction-ids": {"age": 0},
    "long-transaction": {"seconds": 0},
    "waiting-for-lock": {"seconds": 0},
    "unused-replication-slot": {"bytes": 0},
}
EXPECTED = (
    ("drift", "warning", "has the table sick_notes", "app db revision"),
    ("table-without-primary-key", "warning", "sick_notes", "model of sick_notes"),
    (
        "foreign-key-without-index",
        "warning",
        "sick_keys (parent_id)",
        "CREATE INDEX CONCURRENTLY ix_sick_keys_parent_id ON sick_keys (parent_id);",
    ),
    (
        "duplicate-index",
        "warning",
        "ix_sick_rows_number_again",
        "DROP INDEX CONCURRENTLY ix_sick_rows_number_again;",
    ),
    (
        "duplicate-index",
        "hint",
        "ix_sick_rows_number_id finds all that ix_sick_rows_number does",
        "DROP INDEX CONCURRENTLY ix_sick_rows_number;",
    ),
    ("invalid-index", "warning", "uq_sick", "REINDEX INDEX CONCURRENTLY uq_sick;"),
    (
        "unvalidated-constraint",
        "warning",
        "fk_sick of sick_imports",
        "ALTER TABLE sick_imports VALIDATE CONSTRAINT fk_sick;",
    ),
    (
        "unused-index",
        "hint",
        "ix_sick_rows_number of sick_rows",
        "DROP INDEX CONCURRENTLY ix_sick_rows_number;",
    ),
    ("missing-statistics", "warning", "sick_imports", "ANALYZE sick_imports;"),
    ("dead-rows", "warning", "sick_imports has 30 dead", "VACUUM (ANALYZE) sick_imports;"),
    ("bloat", "hint", "sick_rows takes", "VACUUM FULL sick_rows;"),
    ("keys-nearly-used-up", "error", "sick_keys.id, has used 93 %", "BigInteger"),
    ("old-transaction-ids", "warning", "transactions old", "VACUUM (FREEZE);"),
    ("long-transaction", "warning", "idle in transaction", "SELECT pg_terminate_backend("),
    ("waiting-for-lock", "warning", "for a lock that process", "SELECT pg_terminate_backend("),
    ("unused-replication-slot", "warning", "'sick_", "SELECT pg_drop_replication_slot('sick_"),
    ("not-examined", "note", "needs pg_monitor", "GRANT pg_monitor TO pg_signal_backend;"),
)


async def make_sick(connection: AsyncConnection) -> None:
    for statement in STATEMENTS:
        await connection.execute(text(statement))
    with pytest.raises(IntegrityError):  # it leaves an index that is not valid
        await connection.execute(
            text("CREATE UNIQUE INDEX CONCURRENTLY uq_sick ON sick_imports (number)")
        )


@asynccontextmanager
async def sick_sessions(engine: AsyncEngine) -> AsyncIterator[None]:
    """What is there only as long as somebody is connected."""
    slot = {"name": f"sick_{engine.url.database}"}
    lock = text("SELECT pg_advisory_xact_lock(1)")
    async with engine.connect() as holder, engine.connect() as waiter, engine.connect() as watcher:
        await watcher.execute(text("SELECT pg_create_physical_replication_slot(:name, true)"), slot)
        await watcher.commit()
        await holder.execute(lock)
        await waiter.execute(text("SET lock_timeout = 0"))
        waiting = asyncio.create_task(waiter.execute(lock))
        while not (await watcher.execute(text(WAITING.query), LIMITS["waiting-for-lock"])).all():
            await watcher.rollback()
        await watcher.rollback()
        try:
            yield
        finally:
            await holder.rollback()
            await waiting
            await watcher.execute(text("SELECT pg_drop_replication_slot(:name)"), slot)
            await watcher.commit()


async def find_hidden_sessions(connection: AsyncConnection) -> Sequence[Finding]:
    await connection.execute(text("SET ROLE pg_signal_backend"))  # it sees nothing of others
    found = await HIDDEN_SESSIONS(connection)
    await connection.execute(text("RESET ROLE"))
    return found


OTHER_CHECKS: tuple[Check, ...] = (find_hidden_sessions,)
