"""What `app db doctor` examines on SQLite."""

import asyncio
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core import driver
from app.core.command_line.examining.findings import Check, Finding, QueryCheck, Severity
from app.core.failures import Failure

__all__ = ["CHECKS", "CONNECTION_LIMIT", "CREATE_INDEX", "DROP_INDEX"]

CREATE_INDEX = "CREATE INDEX {name} ON {table} ({columns});"
DROP_INDEX = "DROP INDEX {name};"
CONNECTION_LIMIT = ""  # a file has none

ROWS_WITHOUT_STATISTICS = 10_000
LOCK_SECONDS = 2.0
LOG_BYTES = 64 * 1024**2

DAMAGED = QueryCheck(
    name="damaged-data",
    severity=Severity.ERROR,
    query="SELECT quick_check AS reason FROM pragma_quick_check(20) WHERE quick_check <> 'ok'",
    what="{reason}.",
    why="The file, or a row that a constraint forbids, is not as SQLite would write it.",
    mend="Correct the row. If the file is damaged, restore a backup, or: sqlite3 app.db .recover",
)
BROKEN_REFERENCE = QueryCheck(
    name="broken-reference",
    severity=Severity.ERROR,
    query="""
        SELECT "table" AS table_name, parent, count(*) AS count
        FROM pragma_foreign_key_check GROUP BY 1, 2
    """,
    what="Rows of {table_name} that refer to rows of {parent} that are gone: {count}.",
    why="They were written without PRAGMA foreign_keys=ON, by another program.",
    mend="PRAGMA foreign_key_check({table_name}); names the rows: delete or correct them.",
)
FREE_PAGES = QueryCheck(
    name="free-space",
    severity=Severity.HINT,
    query="""
        SELECT 100 * freelist_count / page_count AS percent,
            freelist_count * page_size / 1048576 AS megabytes
        FROM pragma_freelist_count, pragma_page_count, pragma_page_size
        WHERE freelist_count * page_size >= :bytes AND freelist_count >= page_count / 4
    """,
    what="{percent} % of the file, {megabytes} MiB, are free pages.",
    why="Deleted rows do not make the file smaller. New rows use the pages again.",
    mend="VACUUM; (it locks the database, and needs as much space as the file)",
    limits={"bytes": 64 * 1024**2},
)
JOURNAL = QueryCheck(
    name="unsafe-setting",
    severity=Severity.ERROR,
    query="SELECT journal_mode FROM pragma_journal_mode WHERE journal_mode <> 'wal'",
    what="The file has journal_mode={journal_mode}.",
    why="Readers and writers block each other. The service sets WAL: this file system refuses it.",
    mend="Move the file to a local disk.",
)
SYNCHRONOUS = QueryCheck(
    name="unsafe-setting",
    severity=Severity.WARNING,
    query="SELECT synchronous FROM pragma_synchronous WHERE synchronous < 2",
    what="The service connects with PRAGMA synchronous={synchronous}.",
    why="A power cut can take back the last commits.",
    mend="Remove synchronous=normal from DATABASE_URL.",
)


LASTING_WRITE_LOCK = Finding(
    "long-transaction",
    Severity.WARNING,
    f"The write lock was not free within {LOCK_SECONDS:g} seconds.",
    "There is one writer at a time: requests that write wait, and fail with a 503.",
    "End the process that writes, or let it commit more often.",
)


async def find_missing_statistics(connection: AsyncConnection) -> list[Finding]:
    """Look at the indexes of large tables: without statistics, SQLite guesses."""
    query = "SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY 1"
    indexed = set(await connection.scalars(text(query)))
    if await connection.scalar(text("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")):
        indexed -= set(await connection.scalars(text("SELECT tbl FROM sqlite_stat1")))
    quote = connection.dialect.identifier_preparer.quote
    large = "SELECT 1 FROM {} LIMIT 1 OFFSET :rows"
    return [
        Finding(
            "missing-statistics",
            Severity.WARNING,
            f"{table} has more than {ROWS_WITHOUT_STATISTICS} rows and no statistics.",
            "The planner guesses which index is the best.",
            f"ANALYZE {quote(table)};",
        )
        for table in sorted(indexed)
        if await connection.scalar(
            text(large.format(quote(table))), {"rows": ROWS_WITHOUT_STATISTICS}
        )
    ]


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def find_large_log(connection: AsyncConnection) -> list[Finding]:
    size = await asyncio.to_thread(size_of, Path(f"{connection.engine.url.database}-wal"))
    if size < LOG_BYTES:
        return []
    return [
        Finding(
            "large-log",
            Severity.WARNING,
            f"The write-ahead log has {size // 1024**2} MiB.",
            "A transaction that reads for long keeps it from being emptied. Reads get slower.",
            "End that transaction, then: PRAGMA wal_checkpoint(TRUNCATE);",
        )
    ]


async def find_lasting_write_lock(connection: AsyncConnection) -> list[Finding]:
    """Wait for the write lock, as a request would, and let go of it at once."""
    await connection.execute(text(f"PRAGMA busy_timeout={round(LOCK_SECONDS * 1000)}"))
    await connection.execute(text("PRAGMA query_only=OFF"))  # it refuses BEGIN IMMEDIATE
    try:
        await connection.execute(text("BEGIN IMMEDIATE"))
        await connection.execute(text("ROLLBACK"))
    except DBAPIError as error:
        if driver.failure_of(error) is not Failure.BUSY:
            raise
        return [LASTING_WRITE_LOCK]
    finally:
        await connection.execute(text("PRAGMA query_only=ON"))
    return []


CHECKS: tuple[Check, ...] = (
    DAMAGED,
    BROKEN_REFERENCE,
    FREE_PAGES,
    JOURNAL,
    SYNCHRONOUS,
    find_missing_statistics,
    find_large_log,
    find_lasting_write_lock,
)
