"""What is particular to MySQL, MariaDB and aiomysql."""

import asyncio
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core import driver
from app.core.database import Database
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings
from tests.core.lab import (
    LabBook,
    LabCounter,
    LabSample,
    LabShelf,
    SampleCreate,
    SampleName,
    SampleRepository,
)
from tests.core.server import watch

# Reads tables for a long time: a bare SLEEP that is ended returns a row, and no error.
ENDLESS = text(
    "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b,"
    " information_schema.columns c, information_schema.columns d"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mysql+aiomysql://ada:secret@db/app", "mysql+aiomysql://ada:secret@db/app"),
        ("mysql://ada:secret@db/app", "mysql+aiomysql://ada:secret@db/app"),
        ("mariadb://ada:secret@db/app", "mariadb+aiomysql://ada:secret@db/app"),
    ],
)
def test_the_urls_that_platforms_hand_out_are_understood(given: str, expected: str) -> None:
    url = driver.check_url(sa.make_url(given))

    assert url.render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("ssl-mode=REQUIRED&charset=utf8mb4", {"ssl_mode": "REQUIRED", "charset": "utf8mb4"}),
        ("sslmode=verify_ca", {"ssl_mode": "VERIFY_CA"}),
        ("reconnect=true&ssl_verify_cert=true", {"reconnect": "true", "ssl_verify_cert": "true"}),
    ],
)
def test_options_get_the_names_of_mysql(given: str, understood: dict[str, str]) -> None:
    url = driver.check_url(sa.make_url(f"mysql://db/app?{given}"))

    assert dict(url.query) == understood
    assert driver.check_url(url) == url


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("ssl_mode=PREFERRED", "one of DISABLED, REQUIRED, VERIFY_CA, .* option ssl_mode"),
        ("ssl_mode=REQUIRED&ssl_verify_cert=true", "contradicting options"),
        ("ssl=false", "option ssl"),
        ("ssl_ca=/nowhere.pem", "option ssl_ca"),
        (f"ssl_ca={__file__}", "no certificate"),
        ("useSSL=true", "unknown option useSSL; known are auth_plugin, "),
        ("connect_timeout=soon", "option connect_timeout"),
    ],
)
def test_options_that_cannot_be_honored_are_refused_by_name(given: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        driver.check_url(sa.make_url(f"mysql://db/app?{given}"))


@pytest.mark.parametrize("given", ["mysql+pymysql://db/app", "mysql+aiomysql://db"])
def test_other_urls_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        driver.check_url(sa.make_url(given))


async def kill_others(session: AsyncSession) -> None:
    processes = text(
        "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    for process in (await session.scalars(processes)).all():
        await session.execute(text(f"KILL {process}"))
    await asyncio.sleep(0.1)


async def test_a_connection_that_was_lost_in_the_pool_is_replaced(
    database: Database, session: AsyncSession
) -> None:
    async with database.read() as reading, database.transaction() as writing:
        await reading.execute(select(1))
        await writing.execute(select(1))
    await kill_others(session)

    async with database.read() as reading, database.transaction() as writing:
        assert await reading.scalar(select(1)) == 1
        assert await writing.scalar(select(1)) == 1


@pytest.mark.usefixtures("migrated")
async def test_a_server_that_became_silent_does_not_keep_a_transaction_from_ending(
    settings: CoreSettings,
) -> None:
    url = settings.primary_url
    answers = asyncio.Event()
    answers.set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(url.host, url.port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                await answers.wait()
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, to_server), copy(from_server, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as relayed:
        through = url.set(host="127.0.0.1", port=relayed.sockets[0].getsockname()[1])
        changes = {
            "database_url": SecretStr(through.render_as_string(hide_password=False)),
            "database_connect_timeout_seconds": 0.5,
        }
        database = Database(settings.model_copy(update=changes))

        async def fail(session: AsyncSession) -> None:
            await session.execute(select(1))
            answers.clear()
            raise LookupError

        with pytest.raises(DBAPIError, match="No answer to ROLLBACK") as error:
            await database.run(fail)
        answers.set()
        async with database.transaction() as session:
            assert await session.scalar(select(1)) == 1
        await database.dispose()

    assert driver.failure_of(error.value) is Failure.UNAVAILABLE


async def test_the_server_ends_a_query_that_takes_too_long(
    database: Database, settings: CoreSettings
) -> None:
    changes = {"database_statement_timeout_seconds": 0.2}
    limited = Database(settings.model_copy(update=changes))

    with pytest.raises(DBAPIError) as error:
        await limited.fetch(lambda session: session.execute(ENDLESS))
    await limited.dispose()

    assert driver.failure_of(error.value) is Failure.TIMEOUT


async def test_one_of_two_that_wait_for_each_other_is_run_again(
    database: Database, session: AsyncSession, shelf: LabShelf
) -> None:
    books = (await session.scalars(select(LabBook.id).order_by(LabBook.id).limit(2))).all()
    await session.rollback()
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    def change(first: Any, second: Any) -> Any:
        async def unit(own: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await own.execute(update(LabBook).where(LabBook.id == first).values(price=1))
            if attempts <= 2:
                await both_hold_one.wait()
            await own.execute(update(LabBook).where(LabBook.id == second).values(price=2))

        return unit

    await asyncio.gather(database.run(change(*books)), database.run(change(*books[::-1])))

    assert attempts == 3


@pytest.mark.parametrize("has_record", [False, True])
async def test_nothing_is_committed_after_a_deadlock_that_was_caught(
    database: Database,
    settings: CoreSettings,
    session: AsyncSession,
    shelf: LabShelf,
    has_record: bool,
) -> None:
    patient = Database(settings.model_copy(update={"database_lock_timeout_seconds": 60}))
    books = (await session.scalars(select(LabBook.id).order_by(LabBook.id).limit(2))).all()
    await session.rollback()
    both_hold_one = asyncio.Barrier(2)
    caught: list[DBAPIError] = []
    # Other names in each case: an insert of a name that was just deleted locks the gap beside it.
    names = ("One", "Two") if has_record else ("Three", "Four")

    def change(name: str, first: Any, second: Any) -> Any:
        async def unit(own: AsyncSession) -> None:
            if has_record:
                await SampleRepository(own).add(LabSample(name=name))
            else:
                await SampleRepository(own).insert(SampleCreate(name=name), SampleName)
            await own.execute(update(LabBook).where(LabBook.id == first).values(price=1))
            await both_hold_one.wait()
            try:
                await own.execute(update(LabBook).where(LabBook.id == second).values(price=2))
            except DBAPIError as error:
                caught.append(error)
                await SampleRepository(own).insert(SampleCreate(name="after it"), SampleName)

        return unit

    results = await asyncio.gather(
        patient.run(change(names[0], *books), attempts=1),
        patient.run(change(names[1], *books[::-1]), attempts=1),
        return_exceptions=True,
    )

    stored = list(await session.scalars(select(LabSample.name)))
    errors = [result for result in results if isinstance(result, DBAPIError)]
    assert len(caught) == len(errors) == 1
    assert driver.failure_of(errors[0]) is Failure.BUSY
    assert stored == [names[0] if results[0] is None else names[1]]
    await session.rollback()
    for name in ("after", "at last"):  # on the connections of both
        await patient.run(partial(insert_sample, name))
    await patient.dispose()
    kept = await session.scalars(select(LabSample.name).order_by(LabSample.id))
    assert list(kept) == [*stored, "After", "At last"]


async def insert_sample(name: str, own: AsyncSession) -> None:
    await SampleRepository(own).insert(SampleCreate(name=name), SampleName)


async def test_text_and_numbers_that_do_not_fit_are_the_callers_fault(
    session: AsyncSession, shelf: LabShelf
) -> None:
    for values in ({"title": "x" * 51}, {"price": 2**63}):
        book = {"shelf_id": shelf.id, "title": "Book", **values}
        with pytest.raises(DBAPIError) as error:
            await session.execute(sa.insert(LabBook).values(**book))
        await session.rollback()

        assert driver.failure_of(error.value) is Failure.INVALID_VALUE


async def test_a_text_for_a_number_is_a_bug(session: AsyncSession, shelf: LabShelf) -> None:
    with pytest.raises(DBAPIError) as error:
        await session.execute(sa.update(LabBook).values(price="hush"))

    assert driver.failure_of(error.value) is None
    assert driver.details_of(error.value) == {"code": "1366", "column": "price"}


@pytest.mark.parametrize(
    ("statement", "details"),
    [
        ("INSERT INTO lab_counters VALUES (1, '{}')", {"code": "1062", "constraint": "PRIMARY"}),
        (
            "INSERT INTO lab_counters VALUES (2, '{}')",
            {"code": "1062", "constraint": "uq_lab_counters_name"},
        ),
        ("UPDATE lab_books SET title = NULL", {"code": "1048", "column": "title"}),
        ("INSERT INTO lab_counters (id) VALUES (2)", {"code": "1364", "column": "name"}),
        ("UPDATE lab_books SET price = -1", {"constraint": "ck_lab_books_price"}),
        ("DELETE FROM lab_shelves", {"code": "1451", "constraint": "fk_lab_books_shelf_id"}),
        ("UPDATE lab_books SET title = REPEAT('x', 51)", {"code": "1406", "column": "title"}),
        ("UPDATE lab_books SET price = 9223372036854775808", {"code": "1264", "column": "price"}),
        ("SELECT 1 hush hush", {"code": "1064"}),
    ],
)
@pytest.mark.parametrize(
    "value", ["hush", "hush'", "a' for key 'hush'", "CONSTRAINT `hush`", "hush.for key ''hush"]
)
async def test_what_may_be_logged_of_an_error_has_no_values(
    session: AsyncSession, shelf: LabShelf, statement: str, value: str, details: dict[str, str]
) -> None:
    session.add(LabCounter(id=1, name=value))
    await session.commit()

    with pytest.raises(DBAPIError) as error:
        await session.execute(text(statement.format(value.replace("'", "''"))))

    found = driver.details_of(error.value)
    assert details.items() <= found.items()
    assert "hush" not in str(found)


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("e", "é"), ("😀", "😁")])
async def test_texts_are_compared_exactly(session: AsyncSession, one: str, other: str) -> None:
    session.add_all([LabShelf(name=one), LabShelf(name=other)])
    await session.commit()

    found = await session.scalars(select(LabShelf.name).where(LabShelf.name == one))
    assert list(found) == [one]


async def test_a_transaction_sees_what_others_have_committed(
    database: Database, session: AsyncSession, shelf: LabShelf
) -> None:
    async with database.transaction() as own:
        await own.scalar(select(LabShelf.name))
        await session.execute(update(LabShelf).values(name="renamed"))
        await session.commit()

        assert await own.scalar(select(LabShelf.name)) == "renamed"


async def test_a_collation_of_one_column_is_that_columns_only(sweeper: AsyncEngine) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "collation_of_a_column",
        metadata,
        sa.Column("free", sa.String(50, collation="utf8mb4_general_ci")),
        sa.Column("exact", sa.String(50)),
    )
    sa.Table(
        "collation_of_a_table",
        metadata,
        sa.Column("all", sa.String(50)),
        mariadb_collate="utf8mb4_unicode_ci",
        mysql_collate="utf8mb4_unicode_ci",
    )
    query = text(
        "SELECT column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name LIKE 'collation_of_%'"
    )
    async with sweeper.begin() as connection:
        await connection.run_sync(metadata.create_all)
        rows = (await connection.execute(query)).all()
        await connection.run_sync(metadata.drop_all)

    assert {row[0]: row[1] for row in rows} == {
        "free": "utf8mb4_general_ci",
        "exact": "utf8mb4_bin",
        "all": "utf8mb4_unicode_ci",
    }


async def test_round_trips_are_counted_as_the_server_counts_them(
    settings: CoreSettings, shelf: LabShelf
) -> None:
    noted: list[str] = []
    asked = "SHOW SESSION STATUS LIKE 'Questions'"
    engine = create_engine(settings.primary_url, settings, "write")
    watch(engine, noted.append)
    async with engine.connect() as connection:
        before: Any = (await connection.exec_driver_sql(asked)).first()
        await connection.execute(update(LabBook).values(price=1))
        prices = [{"_price": price, "_title": title} for price, title in ((1, "one"), (2, "two"))]
        changed = update(LabBook).where(LabBook.title == sa.bindparam("_title"))
        await connection.execute(changed.values(price=sa.bindparam("_price")), prices)
        async with connection.stream(select(LabBook.id)) as rows:
            assert len(await rows.all()) == 3
        raw: Any = await connection.get_raw_connection()
        await raw.driver_connection.ping()
        await connection.commit()
        after: Any = (await connection.exec_driver_sql(asked)).first()
    await engine.dispose()

    kinds = " ".join(statement.split()[0] for statement in noted)
    assert kinds == "SHOW UPDATE UPDATE UPDATE SELECT COMMIT SHOW ROLLBACK"
    assert int(after[1]) - int(before[1]) == 6
