import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    event,
    func,
    insert,
    select,
)
from sqlalchemy import inspect as inspect_database
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core import direct
from app.core.command_line.analyzing.analysis import Options, analyze
from app.core.command_line.analyzing.findings import (
    FULL_SCAN,
    JOIN,
    REPEATED,
    SORT,
    WHOLE,
    Finding,
    Gain,
    merge,
)
from app.core.command_line.analyzing.plans import as_driver_sql
from app.core.command_line.analyzing.proposals import Proposal, unindexed_foreign_keys
from app.core.command_line.analyzing.queries import read_query, shorten
from app.core.command_line.analyzing.recordings import (
    STATEMENTS_FILE,
    Statement,
    as_line,
    read_recording,
    restore,
)
from app.core.commands import command_line
from app.core.database import Database
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import LabApp, ReadLog
from tests.recording import note, note_execution
from tests.statements import MeteredTransport

AS_IF_LARGE = Options(assume_large=True)
BY_PRICE = "SELECT id FROM lab_books WHERE price = 7"


def no_app() -> None:
    raise AssertionError("Only logged requests need the application.")


async def problems_of(
    settings: CoreSettings, *sql: str, options: Options = AS_IF_LARGE
) -> list[tuple[Any, ...]]:
    """The problems with tables of the lab."""
    statements = [Statement(as_driver_sql(each), ()) for each in sql]
    report = await analyze(settings, statements, options)
    return [
        (each.problem, each.table, each.proposal and each.proposal.columns)
        for each in report.findings
    ]


@pytest.mark.parametrize(
    ("sql", "problem", "table", "columns"),
    [
        (BY_PRICE, FULL_SCAN, "lab_books", ("price",)),
        ("UPDATE lab_books SET price = 1 WHERE title = 'a'", FULL_SCAN, "lab_books", ("title",)),
        ("SELECT id FROM lab_books ORDER BY price LIMIT 3", SORT, "lab_books", ("price",)),
        (
            "SELECT id FROM lab_books WHERE title = 'a' ORDER BY price, id LIMIT 3",
            FULL_SCAN,
            "lab_books",
            ("title", "price", "id"),
        ),
        (
            "SELECT b.id FROM lab_shelves AS s JOIN lab_books AS b ON b.title = s.name"
            " WHERE s.name = 'The shelf'",
            JOIN,
            "lab_books",
            ("title",),
        ),
        ("SELECT sum(price) FROM lab_books", WHOLE, "lab_books", None),
        ("SELECT id FROM lab_books WHERE title LIKE '%a%'", FULL_SCAN, "lab_books", None),
    ],
)
async def test_a_plan_that_reads_a_large_table_is_a_problem(
    settings: CoreSettings,
    shelf: lab.LabShelf,
    sql: str,
    problem: str,
    table: str,
    columns: tuple[str, ...] | None,
) -> None:
    assert await problems_of(settings, sql) == [(problem, table, columns)]


async def test_what_an_index_finds_is_no_problem(
    settings: CoreSettings, shelf: lab.LabShelf
) -> None:
    by_shelf = f"SELECT title FROM lab_books WHERE shelf_id = '{shelf.id.hex}'"
    first = "SELECT title FROM lab_books ORDER BY id LIMIT 2"

    assert await problems_of(settings, by_shelf, first) == []


async def test_plans_of_small_tables_say_nothing(
    settings: CoreSettings, shelf: lab.LabShelf
) -> None:
    report = await analyze(settings, [Statement(BY_PRICE, ())], Options())

    assert report.findings == []
    assert report.is_small


async def test_one_index_serves_statements_with_the_same_first_columns(
    settings: CoreSettings, shelf: lab.LabShelf
) -> None:
    ordered = f"{BY_PRICE} ORDER BY title"

    assert await problems_of(settings, BY_PRICE, ordered) == [
        (FULL_SCAN, "lab_books", ("price", "title"))
    ]


async def test_nothing_is_executed(
    settings: CoreSettings, session: AsyncSession, shelf: lab.LabShelf
) -> None:
    more = ("SELECT 1; DELETE FROM lab_books", "SELECT 1; DROP TABLE lab_books", "ANALYZE SELECT 1")
    found = await problems_of(settings, "DELETE FROM lab_books WHERE price >= 0", *more)

    assert found == [(FULL_SCAN, "lab_books", ("price",))]
    assert await session.scalar(select(func.count()).select_from(lab.LabBook)) == 3


async def test_what_the_database_refuses_is_reported(settings: CoreSettings) -> None:
    statements = [Statement("SELECT secret FROM nowhere", ()), Statement(BY_PRICE, ())]

    report = await analyze(settings, statements, AS_IF_LARGE)

    assert list(report.unexplained) == ["SELECT secret FROM nowhere"]
    assert report.explained == 1


async def test_an_index_is_proven_and_undone(
    settings: CoreSettings, session: AsyncSession, shelf: lab.LabShelf
) -> None:
    books = [{"shelf_id": shelf.id, "title": "a", "price": price} for price in range(1000)]
    await session.execute(insert(lab.LabBook), books)
    await session.commit()

    options = Options(large=500, prove=True)
    report = await analyze(settings, [Statement(BY_PRICE, ())], options)

    (finding,) = report.findings
    assert isinstance(finding.gain, Gain)
    assert finding.gain.uses_index
    assert finding.gain.milliseconds is not None
    connection = await session.connection()
    indexes = await connection.run_sync(lambda own: inspect_database(own).get_indexes("lab_books"))
    assert {each["name"] for each in indexes} == {"ix_lab_books_shelf_id"}
    assert await session.scalar(select(func.count()).select_from(lab.LabBook)) == 1003


@pytest.fixture
def recording(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The file to which requests write their statements."""
    file = tmp_path / "statements"
    monkeypatch.setenv(STATEMENTS_FILE, str(file))
    engines = [engine.sync_engine for engine in database.engines]
    direct.recorders.append(note)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note_execution)
    yield file
    direct.recorders.remove(note)
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note_execution)


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


async def test_recorded_requests_are_explained_with_their_values(
    settings: CoreSettings, lab_app: FastAPI, shelf: lab.LabShelf, recording: Path
) -> None:
    """Through SQLAlchemy and past it; some databases can plan for certain values only."""
    async with AsyncClient(transport=MeteredTransport(lab_app), base_url="http://test") as client:
        await client.post("/lab/shelves", json={"name": "one"})
        await client.get("/lab/samples", params={"name": "a"})
        await client.delete(f"/lab/books/{uuid4()}")

    statements = read_recording(lines_of(recording), no_app)
    report = await analyze(settings, statements, AS_IF_LARGE)

    assert report.unexplained == {}
    assert {each.route for each in report.routes} == {
        "POST /lab/shelves",
        "GET /lab/samples",
        "DELETE /lab/books/{book_id}",
    }


async def test_logged_requests_have_route_and_values(
    lab_app: FastAPI, client_with: LabApp, read_log: ReadLog
) -> None:
    async with client_with(database_echo=True) as (client, _):
        read_log()
        await client.get("/lab/shelves")
        await client.get("/lab/samples", params={"name": "a [b]"})
        lines = ["no JSON", *map(json.dumps, read_log())]

    statements = read_recording(lines, lambda: lab_app)
    counted, found = [each for each in statements if "lab_" in each.sql]
    assert (counted.route, counted.parameters) == ("GET /lab/shelves", ())
    assert found.route == "GET /lab/samples"
    assert found.parameters is not None
    assert found.parameters[0] == "a [b]"
    assert counted.request != found.request


async def test_the_same_statement_many_times_in_one_request_is_a_problem(
    settings: CoreSettings,
) -> None:
    insert = "INSERT INTO lab_shelves (id) VALUES (?)"
    lines = [as_line("POST /many", "1", insert, (number,)) for number in range(3)]
    lines += [as_line("POST /one", str(number), insert, (number,)) for number in range(3)]

    report = await analyze(settings, read_recording(lines, no_app), Options(repeated=3))

    (finding,) = report.findings
    assert (finding.problem, finding.count, finding.routes) == (REPEATED, 3, ("POST /many",))
    assert [(each.route, each.statements) for each in report.routes] == [
        ("POST /many", 3),
        ("POST /one", 1),
    ]


@pytest.mark.parametrize(
    "values",
    [
        (),
        (uuid4(), None, True, 1.5, "it's", b"\x00"),
        (datetime.now(UTC), datetime(2026, 1, 2, 3, 4), date(2026, 1, 2), timedelta(seconds=-1)),  # noqa: DTZ001
        (Decimal("1.10"), [1, 2]),
    ],
)
def test_recorded_values_are_restored(values: tuple[Any, ...]) -> None:
    assert restore(repr(values)) == values
    assert restore(repr([values, values])) == values


@pytest.mark.parametrize(
    "text", ["__import__('os')", "(open('file'),)", "(a, b)", "'10 rows'", "(1,", "[hidden]"]
)
def test_other_values_are_unknown(text: str) -> None:
    assert restore(text) is None


TABLES = {"a": frozenset({"id", "x", "y"}), "b": frozenset({"id", "a_id", "z"})}


@pytest.mark.parametrize(
    ("sql", "conditions"),
    [
        ("SELECT * FROM a WHERE a.x = $1::INTEGER AND (y = 2)", {("a", "x"), ("a", "y")}),
        ("SELECT * FROM a, b AS c WHERE c.a_id = a.id", {("b", "a_id"), ("a", "id")}),
        ('UPDATE "a" SET x = 1, y = 2 WHERE `a`.`y` IN (%s, %s)', {("a", "y")}),
        ("SELECT * FROM a WHERE x = 1 OR y = 2", set()),
        ("SELECT * FROM a WHERE (x = 1 OR y = 2) AND id = 3", {("a", "id")}),
        ("SELECT * FROM a WHERE lower(x) = '' AND y <> 'AND x = 1'", set()),
        ("SELECT * FROM a WHERE unknown = 1", set()),
    ],
)
def test_conditions_are_read_if_an_index_can_serve_them(
    sql: str, conditions: set[tuple[str, str]]
) -> None:
    query = read_query(sql, TABLES)

    assert {(each.table, each.column) for each in query.conditions} == conditions


def test_statements_with_lists_of_any_length_are_the_same() -> None:
    some = shorten("SELECT 1\nWHERE x IN ($1::UUID, $2::TIMESTAMP WITH TIME ZONE)")

    assert some == "SELECT 1 WHERE x IN (…)"
    assert shorten("VALUES (%s, %s)") == shorten("VALUES (%s, %s, %s)")


def test_a_foreign_key_without_index_is_found() -> None:
    metadata = MetaData()
    Table("parents", metadata, Column("id", Integer, primary_key=True))
    keys: list[Column[int]] = [
        Column(name, ForeignKey("parents.id")) for name in ("first", "second", "third")
    ]
    table = Table("children", metadata, *keys, Index("ix", "first", "second"))

    assert [each.columns for each in unindexed_foreign_keys(table)] == [("second",), ("third",)]


async def test_indexes_that_no_recorded_statement_uses_are_named(
    settings: CoreSettings, shelf: lab.LabShelf
) -> None:
    by_shelf = f"SELECT title FROM lab_books WHERE shelf_id = '{shelf.id.hex}'"
    statements = [Statement(by_shelf, (), "GET /books", "1")]

    report = await analyze(settings, statements, AS_IF_LARGE)

    assert "ix_lab_members_deleted_at" in report.unused_indexes
    assert "ix_lab_books_shelf_id" not in report.unused_indexes


def test_a_proposal_is_code() -> None:
    proposal = Proposal("lab_books", ("title", "price"))

    assert proposal.place == "LabBook in tests/core/lab.py"
    assert proposal.model_code == 'Index("ix_lab_books_title_price", "title", "price")'
    assert proposal.revision_code == (
        'op.create_index("ix_lab_books_title_price", "lab_books", ["title", "price"])'
    )
    assert len(Proposal("lab_books", ("column_name",) * 9).name) == 63


def test_findings_with_one_cause_are_one_finding() -> None:
    proposal = Proposal("a", ("x",))
    found = [
        Finding(FULL_SCAN, rows, "a", Statement(f"SELECT {rows}"), (f"GET /{rows}",), proposal)
        for rows in (10, 30, 20)
    ]

    (merged,) = merge(found)

    assert merged.count == 30
    assert merged.routes == ("GET /10", "GET /30", "GET /20")


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command_line, ["db", "analyze", *arguments])


async def test_the_command_exits_with_3_if_there_is_a_problem(
    settings: CoreSettings, shelf: lab.LabShelf
) -> None:
    arguments = ("--assume-large", "--sql", BY_PRICE)
    shown = await asyncio.to_thread(invoke, *arguments)
    as_json = await asyncio.to_thread(invoke, *arguments, "--json")

    assert shown.exit_code == as_json.exit_code == 3
    assert "index on lab_books (price)" in shown.stdout
    found = json.loads(as_json.stdout)
    assert found["findings"][0]["proposal"]["model"] == 'Index("ix_lab_books_price", "price")'
    secret = settings.primary_url.password
    assert secret is None or f":{secret}@" not in shown.stdout + as_json.stdout


async def test_the_command_says_how_to_fill_small_tables(shelf: lab.LabShelf) -> None:
    result = await asyncio.to_thread(invoke, "--sql", BY_PRICE)

    assert result.exit_code == 0
    assert "app db seed" in result.stdout
    assert "--assume-large" in result.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file or directory."), ("{}\n", "There are no statements.")],
)
def test_a_file_without_statements_is_one_sentence(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "statements"
    if content is not None:
        file.write_text(content)

    result = invoke(str(file))

    assert result.exit_code == 1
    assert reason in result.stderr


def test_the_command_needs_statements() -> None:
    assert invoke().exit_code == 2


def test_indexes_are_tried_in_development_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    result = invoke("--prove", "--sql", BY_PRICE)

    assert result.exit_code == 1
    assert result.stderr == "--prove locks tables. Use it where ENVIRONMENT is development.\n"
