"""What is particular to SQLite and aiosqlite."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core import driver
from app.core.database import Database
from app.core.engine import create_engine
from app.core.errors import UnavailableError
from app.core.execution import execute
from app.core.settings import CoreSettings
from app.core.soft_delete import HIDE_DELETED
from tests.core.lab import (
    LabBook,
    LabCounter,
    LabMember,
    LabSample,
    LabShelf,
    SampleCreate,
    SampleName,
    SampleRepository,
)
from tests.core.server import watch

NORMAL, FULL = 1, 2  # what SQLite calls its levels
# Ten seconds of work or more.
LONG = text(
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 50000000)"
    " SELECT COUNT(*) FROM numbers"
)


def test_a_short_url_is_understood() -> None:
    url = driver.check_url(sa.make_url("sqlite:///app.db"))

    assert url.render_as_string() == "sqlite+aiosqlite:///app.db"


@pytest.mark.parametrize(
    "given", ["sqlite+pysqlite:///app.db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"]
)
def test_other_urls_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        driver.check_url(sa.make_url(given))


@pytest.mark.parametrize("option", ["synchronous=off", "mode=ro"])
def test_options_that_cannot_be_honored_are_refused_by_name(option: str) -> None:
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        driver.check_url(sa.make_url(f"sqlite:///app.db?{option}"))


@pytest.mark.parametrize(
    ("options", "level"), [("", FULL), ("?synchronous=normal", NORMAL), ("?synchronous=FULL", FULL)]
)
async def test_a_commit_is_on_the_disk_unless_the_url_says_otherwise(
    settings: CoreSettings, tmp_path: Path, options: str, level: int
) -> None:
    url = SecretStr(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}{options}")
    database = Database(settings.model_copy(update={"database_url": url}))
    async with database.transaction() as session:
        found = await session.scalar(text("PRAGMA synchronous"))
    await database.dispose()

    assert found == level


async def test_a_connection_has_foreign_keys_and_the_write_ahead_log(database: Database) -> None:
    async with database.transaction() as session:
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"


def make_file(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE backups (name TEXT)")
        connection.execute("INSERT INTO backups VALUES (?)", (name,))


def put_back(backup: Path, file: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    backup.replace(file)


async def test_a_connection_that_was_lost_in_the_pool_is_replaced(
    settings: CoreSettings, tmp_path: Path
) -> None:
    """It is lost when the file is another one, after a backup was put back."""
    file, backup = tmp_path / "app.db", tmp_path / "backup.db"
    make_file(file, "today's")
    make_file(backup, "yesterday's")
    url = SecretStr(f"sqlite+aiosqlite:///{file}")
    database = Database(settings.model_copy(update={"database_url": url}))
    query = text("SELECT name FROM backups")

    before = await database.fetch(lambda session: session.scalar(query))
    put_back(backup, file)
    after = await database.fetch(lambda session: session.scalar(query))
    await database.dispose()

    assert (before, after) == ("today's", "yesterday's")


@pytest.mark.parametrize(
    ("statement", "details"),
    [
        ("INSERT INTO lab_counters VALUES (2, 'hush')", {"column": "name"}),
        ("INSERT INTO lab_counters VALUES (1, 'hush')", {"column": "id"}),
        ("UPDATE lab_counters SET name = NULL", {"column": "name"}),
        ("UPDATE lab_books SET price = -1", {"constraint": "ck_lab_books_price"}),
        ("INSERT INTO hushed VALUES ('HUSH')", {"constraint": "ix_hushed"}),
        ("DELETE FROM lab_shelves", {"code": "SQLITE_CONSTRAINT_FOREIGNKEY"}),
        ("SELECT color FROM lab_shelves", {"reason": "no such column: color"}),
    ],
)
async def test_what_may_be_logged_of_an_error_has_no_values(
    session: AsyncSession, shelf: LabShelf, statement: str, details: dict[str, str]
) -> None:
    session.add(LabCounter(id=1, name="hush"))
    await session.commit()
    await session.execute(text("CREATE TABLE hushed (name TEXT)"))
    await session.execute(text("CREATE UNIQUE INDEX ix_hushed ON hushed (lower(name))"))
    await session.execute(text("INSERT INTO hushed VALUES ('hush')"))

    with pytest.raises(DBAPIError) as error:
        await session.execute(text(statement))

    found = driver.details_of(error.value)
    assert details.items() <= found.items()
    assert "hush" not in str(found).replace("ix_hushed", "")


async def test_no_update_is_lost_when_many_read_and_write(
    database: Database, settings: CoreSettings, session: AsyncSession, shelf: LabShelf
) -> None:
    other_process = Database(settings)

    async def increment(database: Database) -> None:
        async with database.transaction() as own:
            book = (await own.scalars(select(LabBook).order_by(LabBook.id).limit(1))).one()
            await asyncio.sleep(0)
            book.price += 1

    await asyncio.gather(*(increment(each) for each in [database, other_process] * 25))
    await other_process.dispose()

    assert await session.scalar(select(LabBook.price).order_by(LabBook.id).limit(1)) == 50


async def test_readers_do_not_wait_for_a_writer(database: Database, shelf: LabShelf) -> None:
    async with database.transaction() as writing:
        await writing.execute(update(LabShelf).values(name="renamed"))

        async with database.read() as reading:
            assert await reading.scalar(select(LabShelf.name)) == "The shelf"


async def test_a_cancelled_statement_ends_and_holds_no_lock(
    database: Database, shelf: LabShelf
) -> None:
    async def work_slowly() -> None:
        async with database.transaction() as own:
            await own.execute(update(LabShelf).values(name="theirs"))
            await own.execute(LONG)

    task = asyncio.create_task(work_slowly())
    await asyncio.sleep(0.2)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done

    async with asyncio.timeout(5), database.transaction() as own:
        await own.execute(update(LabShelf).values(name="ours"))


async def test_a_connection_with_rows_left_gives_its_lock_up_when_it_is_invalidated(
    database: Database, shelf: LabShelf
) -> None:
    pooled = await database.engine.raw_connection()
    raw: Any = pooled.driver_connection
    await raw.execute("BEGIN IMMEDIATE")
    reading = await raw.cursor()  # as SQLAlchemy does
    await reading.execute("SELECT 1 UNION SELECT 2")

    pooled.invalidate()

    async with asyncio.timeout(2), database.transaction() as own:
        await own.execute(update(LabShelf).values(name="ours"))
    del reading


async def test_a_connection_whose_opening_was_cancelled_is_closed(tmp_path: Path) -> None:
    opened: list[sqlite3.Connection] = []
    starts, goes_on = threading.Event(), threading.Event()

    class SlowConnection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            opened.append(self)
            starts.set()
            goes_on.wait()

    file = tmp_path / "app.db"
    opening = asyncio.create_task(driver.connect(file, factory=SlowConnection))
    await asyncio.to_thread(starts.wait)
    opening.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await opening

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


async def test_a_read_that_takes_too_long_is_ended(
    database: Database, settings: CoreSettings
) -> None:
    limited = Database(settings.model_copy(update={"database_request_timeout_seconds": 0.2}))

    with pytest.raises(Exception, match="did not answer in time"):
        await limited.fetch(lambda session: session.execute(LONG))
    async with asyncio.timeout(5):
        await limited.dispose()


async def test_a_request_waits_for_a_lock_no_longer_than_its_deadline(
    database: Database, settings: CoreSettings, shelf: LabShelf
) -> None:
    timeouts = {"database_lock_timeout_seconds": 20.0, "database_request_timeout_seconds": 0.5}
    limited = Database(settings.model_copy(update=timeouts))

    async def write() -> None:
        async with limited.transaction() as own:
            await own.execute(update(LabShelf).values(name="theirs"))

    async with database.transaction() as holding:
        await holding.execute(update(LabShelf).values(name="ours"))
        began = time.monotonic()
        with pytest.raises((UnavailableError, DBAPIError)):
            await write()
        assert time.monotonic() - began < 10
    await limited.dispose()


async def test_a_savepoint_belongs_to_its_transaction(
    database: Database, session: AsyncSession
) -> None:
    async def fail() -> None:
        async with database.transaction() as own:
            async with own.begin_nested():
                own.add(LabShelf(name="one"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    assert await session.scalar(select(LabShelf.name)) is None


@pytest.mark.parametrize("has_record", [False, True])
async def test_nothing_is_committed_after_sqlite_has_rolled_the_transaction_back(
    database: Database, session: AsyncSession, shelf: LabShelf, has_record: bool
) -> None:
    """As it does when the disk is full."""
    roll_back = "INSERT OR ROLLBACK INTO lab_shelves SELECT * FROM lab_shelves"

    async def work() -> None:
        async with database.transaction() as own:
            if has_record:
                await SampleRepository(own).add(LabSample(name="one"))
            else:
                await SampleRepository(own).insert(SampleCreate(name="one"), SampleName)
            with pytest.raises(DBAPIError):
                await execute(own, roll_back, [])

    with pytest.raises(PendingRollbackError):
        await work()

    assert list(await session.scalars(select(LabSample.name))) == []
    await session.rollback()
    async with database.transaction() as own:
        await SampleRepository(own).insert(SampleCreate(name="after"), SampleName)


@pytest.mark.parametrize("pattern", ["ÉTÉ", "été"])
async def test_a_search_knows_all_letters(session: AsyncSession, pattern: str) -> None:
    session.add(LabShelf(name="L'Été"))
    await session.flush()

    query = select(LabShelf.name).where(LabShelf.name.icontains(pattern))
    assert await session.scalar(query) == "L'Été"


def change_a_column(connection: sa.Connection) -> None:
    context = MigrationContext.configure(connection)
    with Operations(context).batch_alter_table("batch_parents") as batch:
        batch.alter_column("name", type_=sa.String(100))


async def test_changing_a_table_keeps_the_rows_that_refer_to_it(sweeper: AsyncEngine) -> None:
    metadata = sa.MetaData()
    parents = sa.Table(
        "batch_parents",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50)),
    )
    reference = sa.ForeignKey("batch_parents.id", ondelete="CASCADE")
    children = sa.Table(
        "batch_children",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", reference),
    )
    async with sweeper.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(parents.insert().values(id=1, name="one"))
        await connection.execute(children.insert().values(id=1, parent_id=1))
        await connection.run_sync(change_a_column)
        kept: Any = (await connection.execute(select(children.c.parent_id))).scalars().all()
        await connection.run_sync(metadata.drop_all)

    assert kept == [1]


async def test_a_migration_that_breaks_references_is_refused(sweeper: AsyncEngine) -> None:
    def check(connection: sa.Connection) -> None:
        driver.check_foreign_keys(ctx=MigrationContext.configure(connection))

    async def break_reference() -> None:
        async with sweeper.begin() as connection:
            book: dict[str, Any] = {"id": LabBook().id, "shelf_id": LabShelf().id, "title": "Lost"}
            await connection.execute(sa.insert(LabBook), book)
            await connection.run_sync(check)

    with pytest.raises(ValueError, match="breaks references"):
        await break_reference()


async def test_round_trips_are_counted_as_sqlite_traces_them(
    settings: CoreSettings, shelf: LabShelf
) -> None:
    noted: list[str] = []
    traced: list[str] = []
    engine = create_engine(settings.primary_url, settings, "write")
    watch(engine, noted.append)
    async with engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.set_trace_callback(traced.append)
        await connection.execute(update(LabBook).values(price=1))
        async with connection.stream(select(LabBook.id)) as rows:
            assert len(await rows.all()) == 3
        assert await raw.execute_fetchall("SELECT 1")
        await connection.commit()
        await connection.rollback()
    await engine.dispose()

    kinds = " ".join(statement.split()[0] for statement in noted)
    assert kinds == "BEGIN UPDATE SELECT SELECT COMMIT"
    assert kinds == " ".join(statement.split()[0] for statement in traced)


@pytest.mark.parametrize("statistics", [False, True])
async def test_a_page_of_rows_that_are_not_deleted_is_read_in_its_order(
    session: AsyncSession, statistics: bool
) -> None:
    """An index of `deleted_at` would find most of the rows, to be sorted for each page."""
    members = [LabMember(name=str(number)) for number in range(100)]
    for member in members[::2]:
        member.mark_deleted()
    session.add_all(members)
    await session.flush()
    if statistics:
        await session.execute(text("ANALYZE"))

    page = select(LabMember).options(HIDE_DELETED).order_by(LabMember.id).limit(20)
    sql = page.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True})
    plan = await session.execute(text(f"EXPLAIN QUERY PLAN {sql}"))

    assert plan.scalars("detail").all() == [
        "SCAN lab_members USING INDEX sqlite_autoindex_lab_members_1"
    ]
