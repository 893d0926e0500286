import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateTable, DropTable
from typer.testing import CliRunner

from app.core import driver
from app.core.commands import command_line
from app.core.engine import create_engine
from app.core.settings import CoreSettings
from data_copy import values as reading
from data_copy.copying import VerifiedTable, copy_data
from data_copy.databases import BACKENDS, connect, parse_url
from data_copy.errors import DataCopyError
from data_copy.values import Checksum
from tests.core.server import create_database, drop_database
from tests.data_copy import lab


@asynccontextmanager
async def temporary_database(settings: CoreSettings, name: str) -> AsyncIterator[AsyncEngine]:
    url = settings.primary_url.set(database=f"{settings.primary_url.database}_{name}")
    await drop_database(url)
    await create_database(url)
    engine = create_engine(url, settings, "migrate")
    yield engine
    await engine.dispose()
    await drop_database(url)


@pytest.fixture(scope="session")
async def databases(settings: CoreSettings) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    async with (
        temporary_database(settings, "source") as source,
        temporary_database(settings, "target") as target,
    ):
        yield source, target


@pytest.fixture
async def source(databases: tuple[AsyncEngine, AsyncEngine]) -> AsyncEngine:
    async with databases[0].begin() as connection:
        await lab.create_tables(connection)
        await lab.fill(connection)
    return databases[0]


@pytest.fixture
async def target(databases: tuple[AsyncEngine, AsyncEngine]) -> AsyncEngine:
    async with databases[1].begin() as connection:
        await lab.create_tables(connection)
    return databases[1]


async def copy(source: AsyncEngine, target: AsyncEngine, **options: Any) -> list[VerifiedTable]:
    options = {"metadata": lab.METADATA, "revisions": {lab.REVISION}, **options}
    return await copy_data(source.url, target.url, **options)


async def read(engine: AsyncEngine) -> dict[str, list[str]]:
    async with engine.connect() as connection:
        return await lab.read(connection)


async def execute(engine: AsyncEngine, *statements: Any) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_a_copy_has_every_row_as_it_is(source: AsyncEngine, target: AsyncEngine) -> None:
    verified = await copy(source, target)

    expected = await read(source)
    assert await read(target) == expected
    assert {table.name: table.rows for table in verified} == {
        name: len(rows) for name, rows in expected.items()
    }
    assert len(expected["copy_people"]) == lab.COUNT


async def test_new_keys_continue_above_the_copied_ones(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    await copy(source, target)

    async with target.begin() as connection:
        for table in (lab.TEAMS, lab.VALUES, lab.NUMBERS):
            largest = await connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
            result = await connection.execute(table.insert().values())
            assert result.inserted_primary_key == (largest + 1,)


async def test_a_key_of_zero_is_kept(source: AsyncEngine, target: AsyncEngine) -> None:
    await execute(source, lab.VALUES.update().where(lab.VALUES.c.id == 1).values(id=0))

    await copy(source, target)

    assert await read(target) == await read(source)


async def test_the_number_of_rows_in_a_batch_is_limited(
    source: AsyncEngine, target: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", 70)

    assert largest_batch(await watch(source, target)) == 70


async def test_batches_of_large_rows_are_small(
    source: AsyncEngine, target: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_BYTES", 1000)

    assert largest_batch(await watch(source, target)) < 20


Steps = list[tuple[str, str, int]]


async def watch(source: AsyncEngine, target: AsyncEngine) -> Steps:
    steps: Steps = []
    await copy(source, target, progress=lambda *step: steps.append(step[:3]))
    return steps


def largest_batch(steps: Steps) -> int:
    people = [done for step, name, done in steps if (step, name) == ("copy", "copy_people")]
    return max(after - before for before, after in pairwise(people))


async def test_the_source_is_read_in_one_snapshot(source: AsyncEngine, target: AsyncEngine) -> None:
    lines = sa.select(sa.func.count()).select_from(lab.LINES)

    async with connect(source.url, "source") as reader, reader.begin():
        await reader.execute(sa.select(lab.TEAMS))
        await execute(source, lab.LINES.insert().values(text="later"))
        assert await reader.scalar(lines) == 2

    assert len((await read(source))["copy_lines"]) == 3


async def test_the_source_cannot_be_written_to(source: AsyncEngine) -> None:
    async with connect(source.url, "source") as reader:
        with pytest.raises(DBAPIError):
            async with reader.begin():
                await reader.execute(lab.LINES.delete())

    assert len((await read(source))["copy_lines"]) == 2


@pytest.mark.parametrize("at", ["copy_values", "copy_people", "copy_pairs", "verify"])
async def test_a_copy_that_was_interrupted_can_be_resumed(
    source: AsyncEngine, target: AsyncEngine, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)

    def interrupt(step: str, name: str, done: int, _: int) -> None:
        if at in {step, name} and done:
            task.cancel()

    task = asyncio.create_task(copy(source, target, progress=interrupt))
    with pytest.raises(asyncio.CancelledError):
        await task
    left = await read(target)
    await copy(source, target, existing="resume")

    expected = await read(source)
    assert any(left.values())
    assert (left == expected) == (at == "verify")
    assert await read(target) == expected


async def test_a_copy_can_replace_existing_rows(source: AsyncEngine, target: AsyncEngine) -> None:
    async with target.begin() as connection:
        await lab.fill(connection)
    await execute(target, lab.LINES.insert().values(text="more"))

    await copy(source, target, existing="replace")

    assert await read(target) == await read(source)


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        (lab.PAIRS.insert().values(team=1, word="more"), "copy_pairs (8 rows became 9)"),
        (lab.VALUES.insert().values(id=1, text="else"), "copy_values (values were changed)"),
    ],
)
async def test_a_difference_is_found(
    source: AsyncEngine, target: AsyncEngine, statement: Any, difference: str
) -> None:
    await execute(target, lab.TEAMS.insert().values(id=1), statement)

    with pytest.raises(DataCopyError, match=re.escape(difference)):
        await copy(source, target, existing="resume")


@pytest.mark.parametrize(
    ("rows", "same"),
    [
        ([(2, "b"), (1, "a")], True),
        ([(1, "a"), (2, "b"), (2, "b")], False),
        ([(1, "a"), (2, "B")], False),
        ([(1, "b"), (2, "a")], False),
        ([(1, "a"), (2, None)], False),
    ],
)
def test_a_checksum_is_of_the_rows_in_any_order(rows: list[Any], same: bool) -> None:
    sums = [Checksum([sa.Integer(), sa.String()]) for _ in range(2)]
    sums[0].add([(1, "a"), (2, "b")])
    sums[1].add(rows)

    assert (str(sums[0]) == str(sums[1])) == same


async def refusal(source: AsyncEngine, target: AsyncEngine, **options: Any) -> str:
    """Return why the copy is refused. Asserts that nothing was written."""
    before = await read(target)
    with pytest.raises(DataCopyError) as error:
        await copy(source, target, **options)
    assert await read(target) == before
    return str(error.value)


async def test_a_database_is_not_copied_to_itself(source: AsyncEngine) -> None:
    assert "same database" in await refusal(source, source, existing="replace")


@pytest.mark.parametrize("role", ["source", "target"])
async def test_a_database_at_another_revision_is_refused(
    source: AsyncEngine, target: AsyncEngine, role: str
) -> None:
    await execute({"source": source, "target": target}[role], lab.VERSION.delete())

    assert await refusal(source, target) == (
        f"The {role} is at revision none, this code needs lab. Run: alembic upgrade head"
    )


async def test_tables_without_a_model_are_refused_unless_they_are_left_out(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    await execute(source, CreateTable(lab.STRANGER))

    assert "tables without a model: stranger." in await refusal(source, target)
    await copy(source, target, ignore_unknown_tables=True)
    assert await read(target) == await read(source)


async def test_a_table_that_is_missing_is_refused(source: AsyncEngine, target: AsyncEngine) -> None:
    await execute(target, DropTable(lab.EMPTY))
    with pytest.raises(DataCopyError, match="The target lacks tables: copy_empty"):
        await copy(source, target)


async def test_a_target_with_rows_is_refused(source: AsyncEngine, target: AsyncEngine) -> None:
    statements = (lab.TEAMS.insert().values(id=1), lab.LINES.insert().values(text="a"))
    await execute(target, *statements)

    assert "not empty: copy_lines, copy_teams." in await refusal(source, target)


async def test_a_row_with_only_null_values_is_found(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    await execute(target, lab.LINES.insert().values(text=None))

    assert "not empty: copy_lines." in await refusal(source, target)


async def test_a_cycle_of_references_without_null_is_refused(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    metadata = sa.MetaData(naming_convention=lab.METADATA.naming_convention)
    for name, other in (("one", "two"), ("two", "one")):
        key = sa.Column("id", sa.Integer, primary_key=True)
        reference: sa.Column[int] = sa.Column(
            "other", sa.ForeignKey(f"{other}.id", use_alter=True), nullable=False
        )
        sa.Table(name, metadata, key, reference)

    reason = await refusal(source, target, metadata=metadata)

    assert reason.endswith("form a cycle, and none can be NULL: fk_one_other, fk_two_other.")


async def test_rows_that_refer_to_each_other_without_null_are_refused(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    await execute(source, lab.ROOMS.update().where(lab.ROOMS.c.id == 40).values(inside=39))

    reason = await refusal(source, target)

    assert reason.startswith("copy_rooms has rows that refer to each other in a cycle through ins")


async def test_a_missing_driver_is_named(
    source: AsyncEngine, target: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = BACKENDS[source.url.get_backend_name()].package
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(DataCopyError, match=f"needs the package {package}: uv run --group copy"):
        await copy(source, target)


async def run_command(*arguments: str) -> Any:
    """Run it in a thread: the command starts its own event loop."""
    return await asyncio.to_thread(CliRunner().invoke, command_line, ["data", "copy", *arguments])


@pytest.mark.parametrize("name", BACKENDS)
def test_an_option_of_a_url_that_would_be_ignored_is_refused(name: str) -> None:
    """A copy that was to be encrypted is never in the clear."""
    with pytest.raises(DataCopyError, match="unknown to a copy: ssl_ca"):
        parse_url(f"{name}:///database?ssl_ca=/ca.pem", "source")


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "://user:s3cret@host/name",
        "unknown://user:s3cret@host/name",
        "sql://user:s3cret@host:s3cret/name",
        make_url(driver.DEFAULT_URL).drivername + "://user:s3cret@127.0.0.1:1",
        make_url(driver.DEFAULT_URL).drivername + "://user:s3cret@127.0.0.1:1/nowhere",
        make_url(driver.DEFAULT_URL).drivername + "://user:s3cret@127.0.0.1:s3cret/nowhere",
    ],
)
async def test_a_database_that_cannot_be_reached_is_one_sentence_without_a_password(
    url: str,
) -> None:
    result = await run_command("--from", url, "--to", url)

    assert result.exit_code == 1
    assert result.stderr.startswith("The ")
    assert result.stderr.count("\n") == 1
    assert "s3cret" not in result.output


async def test_resume_and_replace_exclude_each_other(settings: CoreSettings) -> None:
    url = settings.database_url.get_secret_value()

    result = await run_command("--from", url, "--to", url, "--resume", "--replace")

    assert (result.exit_code, result.stderr[:32]) == (1, "Use either --resume or --replace")


async def test_the_command_copies_the_tables_of_the_service(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        temporary_database(settings, "from") as source,
        temporary_database(settings, "to") as target,
    ):
        urls = [engine.url.render_as_string(hide_password=False) for engine in (source, target)]
        for url in urls:
            monkeypatch.setenv("DATABASE_URL", url)
            await asyncio.to_thread(command.upgrade, Config(toml_file="pyproject.toml"), "head")

        result = await run_command("--from", urls[0], "--to", urls[1])
        again = await run_command("--from", urls[0], "--to", urls[0])

    assert result.exit_code == 0, result.output
    assert "Both databases have the same rows." in result.stdout
    assert (again.exit_code, again.stderr) == (
        1,
        "The source and the target are the same database.\n",
    )
