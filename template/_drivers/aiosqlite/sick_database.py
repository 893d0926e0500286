"""A database in which `app db doctor` finds everything that it looks for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.command_line.examining import health_checks
from app.core.command_line.examining.findings import Check, Finding

__all__ = ["EXPECTED", "LIMITS", "OTHER_CHECKS", "make_sick", "sick_sessions"]

NUMBERS = (
    "WITH RECURSIVE numbers (number) AS"
    " (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT 10001) SELECT number FROM numbers"
)
STATEMENTS = (
    "CREATE TABLE sick_notes (body TEXT)",
    "CREATE TABLE sick_numbers (id INTEGER PRIMARY KEY, number INTEGER)",
    f"INSERT INTO sick_numbers (number) {NUMBERS}",
    "CREATE INDEX ix_sick_number ON sick_numbers (number)",
    "CREATE INDEX ix_sick_number_again ON sick_numbers (number)",
    "CREATE INDEX ix_sick_number_id ON sick_numbers (number, id)",
    """
        CREATE TABLE sick_parts (
            id INTEGER PRIMARY KEY,
            number_id INTEGER REFERENCES sick_numbers,
            amount INTEGER CONSTRAINT ck_sick CHECK (amount > 0)
        )
    """,
    "PRAGMA ignore_check_constraints=ON",
    "INSERT INTO sick_parts VALUES (1, 20000, -1)",
    "CREATE TABLE sick_space (body TEXT)",
    f"INSERT INTO sick_space SELECT hex(zeroblob(100)) FROM ({NUMBERS})",
    "DROP TABLE sick_space",
)
LIMITS: dict[str, dict[str, Any]] = {"free-space": {"bytes": 0}}
EXPECTED = (
    ("drift", "warning", "has the table sick_notes", "app db revision"),
    ("table-without-primary-key", "warning", "sick_notes", "model of sick_notes"),
    (
        "foreign-key-without-index",
        "warning",
        "sick_parts (number_id)",
        "CREATE INDEX ix_sick_parts_number_id ON sick_parts (number_id);",
    ),
    ("duplicate-index", "warning", "ix_sick_number_again", "DROP INDEX ix_sick_number_again;"),
    (
        "duplicate-index",
        "hint",
        "ix_sick_number_id finds all that ix_sick_number does",
        "DROP INDEX ix_sick_number;",
    ),
    ("damaged-data", "error", "CHECK constraint failed in sick_parts", "Correct the row"),
    (
        "broken-reference",
        "error",
        "to rows of sick_numbers that are gone: 1",
        "PRAGMA foreign_key_check(sick_parts)",
    ),
    ("free-space", "hint", "free pages", "VACUUM;"),
    ("missing-statistics", "warning", "sick_numbers has more than 10000", "ANALYZE sick_numbers;"),
    ("large-log", "warning", "write-ahead log", "PRAGMA wal_checkpoint(TRUNCATE);"),
    ("long-transaction", "warning", "write lock", "End the process"),
    ("unsafe-setting", "error", "journal_mode=memory", "local disk"),
    ("unsafe-setting", "warning", "synchronous=1", "Remove synchronous=normal"),
)


async def make_sick(connection: AsyncConnection) -> None:
    for statement in STATEMENTS:
        await connection.execute(text(statement))


@asynccontextmanager
async def sick_sessions(engine: AsyncEngine) -> AsyncIterator[None]:
    """Others that are connected: what they do is seen by `OTHER_CHECKS`."""
    yield


async def find_large_log(connection: AsyncConnection) -> Sequence[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health_checks, "LOG_BYTES", 0)
        return await health_checks.find_large_log(connection)


async def find_lasting_write_lock(connection: AsyncConnection) -> Sequence[Finding]:
    other = create_async_engine(connection.engine.url, poolclass=NullPool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health_checks, "LOCK_SECONDS", 0.01)
        async with other.connect() as writer:
            await writer.execute(text("BEGIN IMMEDIATE"))
            return await health_checks.find_lasting_write_lock(connection)


async def find_other_journal(_: AsyncConnection) -> Sequence[Finding]:
    memory = create_async_engine("sqlite+aiosqlite://")
    async with memory.connect() as connection:
        found = await health_checks.JOURNAL(connection)
    await memory.dispose()
    return found


async def find_lost_commits(connection: AsyncConnection) -> Sequence[Finding]:
    await connection.execute(text("PRAGMA synchronous=NORMAL"))
    return await health_checks.SYNCHRONOUS(connection)


OTHER_CHECKS: tuple[Check, ...] = (
    find_large_log,
    find_lasting_write_lock,
    find_other_journal,
    find_lost_commits,
)
