"""What is particular to PostgreSQL and asyncpg."""

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.connections import check_out
from app.core.database import Database
from app.core.direct import call
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings
from tests.core.lab import LabBook, LabShelf
from tests.core.server import watch

TERMINATE = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize(
    "given",
    [
        "postgresql+asyncpg://ada:secret@db:5432/app",
        "postgresql://ada:secret@db:5432/app",
        "postgres://ada:secret@db:5432/app",
    ],
)
def test_the_urls_that_platforms_hand_out_are_understood(given: str) -> None:
    url = driver.check_url(sa.make_url(given))

    assert (
        url.render_as_string(hide_password=False) == "postgresql+asyncpg://ada:secret@db:5432/app"
    )


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("sslmode=require&application_name=x", {"sslmode": "require", "application_name": "x"}),
        ("ssl=require", {"sslmode": "require"}),
        ("host=a:5432&host=b:5432", {"host": "a:5432,b:5432"}),
    ],
)
def test_options_get_the_names_of_libpq(given: str, understood: dict[str, str]) -> None:
    url = driver.check_url(sa.make_url(f"postgres://db/app?{given}"))

    assert dict(url.query) == understood
    assert driver.check_url(url) == url


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("sslmode=require&channel_binding=require", "channel_binding=require, which asyncpg"),
        ("channel_binding=maybe", "option channel_binding"),
        ("connect_timeout=soon", "option connect_timeout"),
        ("pgbouncer=true", "unknown option pgbouncer; known are application_name, "),
        ("sslmode=on", "one of disable, allow, .* option sslmode"),
        ("sslmode=verify-full", "needs sslrootcert="),
        ("sslmode=verify-full&sslrootcert=/nowhere.pem", "option sslrootcert"),
        ("sslmode=require&sslrootcert=system", "needs sslmode=verify-full"),
        ("target_session_attrs=writable", "option target_session_attrs"),
    ],
)
def test_options_that_cannot_be_honored_are_refused_by_name(given: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        driver.check_url(sa.make_url(f"postgres://db/app?{given}"))


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("option", "value", "query"),
    [
        ("application_name", "the service", "SHOW application_name"),
        ("options", "-c search_path=elsewhere", "SHOW search_path"),
        ("statement_cache_size", "0", "SELECT count(*) FROM pg_prepared_statements"),
    ],
)
async def test_options_of_the_url_take_effect(
    settings: CoreSettings, option: str, value: str, query: str
) -> None:
    url = settings.primary_url.update_query_dict({option: value})
    engine = create_engine(driver.check_url(url), settings, "write")
    async with engine.connect() as connection:
        found = str(await connection.scalar(text(query)))
    await engine.dispose()

    assert found == value.removeprefix("-c search_path=")


@pytest.mark.usefixtures("migrated")
async def test_the_url_chooses_among_servers(settings: CoreSettings) -> None:
    url = settings.primary_url.update_query_dict({"target_session_attrs": "read-write"})
    for purpose in ("write", "read"):
        engine = create_engine(url, settings, purpose)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT NOT pg_is_in_recovery()"))
        await engine.dispose()

    replica = url.update_query_dict({"target_session_attrs": "standby"})
    engine = create_engine(replica, settings, "read")
    with pytest.raises(DBAPIError, match="None of the hosts match") as error:
        await engine.connect()
    await engine.dispose()
    assert driver.failure_of(error.value) is Failure.UNAVAILABLE


async def test_a_server_that_never_answers_is_a_failure_of_the_database(
    settings: CoreSettings,
) -> None:
    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(be_silent, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        url = settings.primary_url.set(host="127.0.0.1", port=port)
        engine = create_engine(url.update_query_dict({"connect_timeout": "1"}), settings, "write")
        with pytest.raises(DBAPIError, match="cannot connect") as error:
            await engine.connect()
        await engine.dispose()

    assert driver.failure_of(error.value) is Failure.TIMEOUT


@pytest.mark.usefixtures("migrated")
async def test_a_connection_that_became_silent_is_a_failure_of_the_database(
    settings: CoreSettings,
) -> None:
    engine = create_engine(
        settings.primary_url, settings, "write", connect_args={"command_timeout": 0.2}
    )
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as error:
            await connection.execute(text("SELECT pg_sleep(5)"))
        assert connection.invalidated
    await engine.dispose()

    assert driver.failure_of(error.value) is Failure.TIMEOUT


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("with_records", [False, True])
async def test_a_connection_that_the_server_is_ending_is_a_failure_of_the_database(
    settings: CoreSettings, with_records: bool
) -> None:
    """As asyncpg reports it, after a crash of the server for example."""
    engine = create_engine(settings.primary_url, settings, "write")

    @sa.event.listens_for(engine.sync_engine, "do_execute")
    def on_execute(_: Any, statement: str, *__: Any) -> None:
        if statement == "SELECT 2":
            raise asyncpg.InternalClientError("cannot switch to state 12")

    async def fail() -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12")

    async def use() -> None:
        if with_records:
            async with AsyncSession(engine) as session:
                await session.execute(text("SELECT 2"))
        else:
            connection = await check_out(engine)
            await call(engine, connection, "SELECT 2", fail, writes=True)

    with pytest.raises(DBAPIError) as error:
        await use()
    await engine.dispose()

    assert error.value.connection_invalidated
    assert driver.failure_of(error.value) is Failure.UNAVAILABLE


@pytest.mark.parametrize("given", ["postgresql+psycopg://db/app", "postgresql+asyncpg://db"])
def test_other_urls_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        driver.check_url(sa.make_url(given))


async def test_a_connection_that_was_lost_in_the_pool_is_replaced(
    database: Database, session: AsyncSession
) -> None:
    async with database.read() as reading, database.transaction() as writing:
        await reading.execute(select(1))
        await writing.execute(select(1))
    await session.execute(TERMINATE)
    await asyncio.sleep(0.05)

    async with database.read() as reading, database.transaction() as writing:
        assert await reading.scalar(select(1)) == 1
        assert await writing.scalar(select(1)) == 1


async def test_the_server_ends_a_statement_that_takes_too_long(
    database: Database, settings: CoreSettings
) -> None:
    changes = {"database_statement_timeout_seconds": 0.2}
    limited = Database(settings.model_copy(update=changes))

    with pytest.raises(DBAPIError) as error:
        await limited.fetch(lambda session: session.execute(text("SELECT pg_sleep(5)")))
    await limited.dispose()

    assert driver.failure_of(error.value) is Failure.TIMEOUT


async def test_a_cancelled_statement_holds_no_lock(
    database: Database, shelf: LabShelf, session: AsyncSession
) -> None:
    async def work_slowly() -> None:
        async with database.transaction() as own:
            await own.execute(update(LabShelf).values(name="theirs"))
            await own.execute(text("SELECT pg_sleep(5)"))

    task = asyncio.create_task(work_slowly())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait({task})

    await session.execute(text("SET LOCAL lock_timeout = '1s'"))
    await session.execute(update(LabShelf).values(name="ours"))


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


async def test_text_and_numbers_that_do_not_fit_are_the_callers_fault(
    session: AsyncSession, shelf: LabShelf
) -> None:
    for values in ({"title": "x" * 51}, {"title": "a\0b"}, {"price": 2**63}):
        book = {"shelf_id": shelf.id, "title": "Book", **values}
        with pytest.raises(DBAPIError) as error:
            await session.execute(sa.insert(LabBook).values(**book))
        await session.rollback()

        assert driver.failure_of(error.value) is Failure.INVALID_VALUE


@pytest.mark.parametrize("values", [{"title": 5}, {"title": ["hush"]}, {"price": "5"}])
async def test_a_value_of_another_type_is_a_bug(
    session: AsyncSession, shelf: LabShelf, values: dict[str, Any]
) -> None:
    book = {"shelf_id": shelf.id, "title": "Book", **values}
    with pytest.raises(DBAPIError) as error:
        await session.execute(sa.insert(LabBook).values(**book))
    await session.rollback()

    assert driver.failure_of(error.value) is None


DUPLICATE = sa.insert(LabShelf).values(name="The shelf")
DUPLICATE_TEXT = 'duplicate key value violates unique constraint "uq_lab_shelves_name"'


@pytest.mark.parametrize(
    ("statement", "details"),
    [
        (
            DUPLICATE,
            {"code": "23505", "constraint": "uq_lab_shelves_name", "reason": DUPLICATE_TEXT},
        ),
        (
            text("UPDATE lab_books SET title = NULL"),
            {
                "code": "23502",
                "column": "title",
                "reason": 'null value in column "title" of relation "lab_books" violates'
                " not-null constraint",
            },
        ),
        (
            text("UPDATE lab_books SET price = -1"),
            {
                "code": "23514",
                "constraint": "ck_lab_books_price",
                "reason": 'new row for relation "lab_books" violates check constraint'
                ' "ck_lab_books_price"',
            },
        ),
        (sa.update(LabBook).values(title=5), {"code": "22000"}),
        (text("SELECT CAST('hush' AS integer)"), {"code": "22P02"}),
        (text("DO $$ BEGIN RAISE 'hush'; END $$"), {"code": "P0001"}),
    ],
)
async def test_what_may_be_logged_of_an_error_has_no_values(
    session: AsyncSession, shelf: LabShelf, statement: Any, details: dict[str, str]
) -> None:
    with pytest.raises(DBAPIError) as error:
        await session.execute(statement)

    assert driver.details_of(error.value) == details


async def test_a_partial_index_has_some_of_the_rows(session: AsyncSession) -> None:
    index = sa.Index("ix_lab_books_free", LabBook.price, **driver.partial_index("price = 0"))
    try:
        assert str(sa.schema.CreateIndex(index).compile(session.get_bind())).endswith(
            "WHERE price = 0"
        )
    finally:
        LabBook.metadata.tables["lab_books"].indexes.discard(index)


async def test_an_index_is_built_concurrently_however_long_that_waits(
    session: AsyncSession, database: Database, settings: CoreSettings
) -> None:
    """Ended by a lock timeout, it would be an invalid index, and the revision half done."""
    limited = settings.model_copy(update={"database_migration_lock_timeout_seconds": 0.5})
    engine = create_engine(settings.primary_url, limited, "migrate")
    session.add(LabShelf(name="not committed"))
    await session.flush()

    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.commit()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        create = "CREATE INDEX CONCURRENTLY ix_lab_concurrent ON lab_shelves (created_at)"
        building = asyncio.create_task(connection.execute(text(create)))
        await asyncio.sleep(1.5)
        waited = not building.done()
        await session.rollback()
        await building
        query = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_lab_concurrent'::regclass"
        valid = await connection.scalar(text(query))
        await connection.execute(text("DROP INDEX ix_lab_concurrent"))
    await engine.dispose()

    assert (waited, valid) == (True, True)


async def test_round_trips_are_counted_as_they_go_over_the_wire(
    settings: CoreSettings, shelf: LabShelf
) -> None:
    url = settings.primary_url
    noted: list[str] = []
    spoke = [""]

    async def forward(who: str, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if spoke[-1] != who:
                spoke.append(who)
            to.write(data)
        to.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, to = await asyncio.open_connection(url.host, url.port or 5432)
        await asyncio.gather(forward("client", reader, to), forward("server", source, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        engine = create_engine(url.set(host="127.0.0.1", port=port), settings, "write")
        watch(engine, noted.append)
        async with engine.connect() as connection:
            for _ in range(2):  # the first time, statements are prepared
                noted.clear()
                spoke[:] = ["server"]
                await connection.execute(select(LabShelf.id))
                many = [{"title": title, "shelf_id": shelf.id} for title in ("one", "two")]
                await connection.execute(sa.insert(LabBook), many)
                async with connection.stream(select(LabBook.id)) as rows:
                    assert len(await rows.all()) == 5
                raw: Any = await connection.get_raw_connection()
                assert await raw.driver_connection.fetch("SELECT 1")
                await connection.rollback()
            assert spoke.count("client") == len(noted)
        await engine.dispose()

    kinds = " ".join(statement.split()[0] for statement in noted)
    assert kinds == "BEGIN; SELECT INSERT SELECT FETCH SELECT ROLLBACK;"
