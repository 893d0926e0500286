"""The commands of the service, on its own database."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from app.core.command_line import domains
from app.core.command_line.reasons import public_address
from app.core.command_line.routes import find_routes, read_budgets
from app.core.commands import command_line
from app.core.database import (
    Database,
    DatabaseDep,
    PrimaryReadSessionDep,
    ReadSessionDep,
    SessionDep,
)
from app.core.health import VERSIONS, read_revisions
from app.core.reads import read_all
from app.core.settings import CoreSettings
from tests.core.lab import LabShelf, ShelfRead

# A command that adds a row, and is interrupted before its transaction ends.
INTERRUPTED = """
import asyncio, os, signal, typer
from app.core.command_line.output import load_settings, run
from app.core.database import open_database
from tests.core.lab import LabShelf

async def work():
    async with open_database(settings) as database, database.transaction() as session:
        session.add(LabShelf(name="half done"))
        await session.flush()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(1)

settings = load_settings()
typer.run(lambda: run(work(), settings))
"""
HAS_REVISIONS = bool(read_revisions(VERSIONS)[0])
HELP = "from app.core.commands import command_line as run; run({}, standalone_mode=False)"


async def run(*words: str) -> Any:
    """In a thread: a command has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, command_line, words)


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("import app.main", {"data_copy", "typer"}),
        (HELP.format(["db", "--help"]), {"alembic", "data_copy", "fastapi", "sqlalchemy"}),
        (HELP.format(["data", "copy", "--help"]), {"data_copy", "fastapi", "sqlalchemy"}),
    ],
)
def test_only_what_is_used_is_imported(program: str, unwanted: set[str]) -> None:
    """Anything else costs time and memory at each start."""
    imported = f"{program}\nimport sys; print('imported:', *sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", imported], check=True, capture_output=True, text=True
    )

    assert unwanted & set(ran.stdout.rpartition("imported:")[2].split()) == set()


async def test_a_copy_without_its_code_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image, which does not have it."""
    monkeypatch.setitem(sys.modules, "data_copy", None)

    result = await run("data", "copy", "--from", "a", "--to", "b")

    assert result.exit_code == 1
    assert result.stderr == (
        "The folder data_copy is not here: run this in a checkout of the service.\n"
    )


@pytest.fixture
def nowhere(settings: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database that cannot be reached."""
    url = settings.primary_url
    url = url.set(port=1) if url.host else url.set(database="/nowhere/at/all")
    secret = url.set(password="not-shown") if url.host else url
    monkeypatch.setenv("DATABASE_URL", secret.render_as_string(hide_password=False))
    return public_address(url)


async def test_a_ping_says_what_the_database_is(migrated: None) -> None:
    result = await run("db", "ping", "--json")

    assert result.exit_code == 0
    (report,) = json.loads(result.stdout)
    assert report["problem"] is None
    assert report["facts"]["server"]
    assert "20 round trips" in report["facts"]["latency"]
    assert report["facts"]["writable"] == "yes"
    assert report["facts"]["revision"].endswith(", the newest")
    assert "unknown" not in report["facts"].values()


async def test_a_ping_shows_lines_without_a_terminal(migrated: None) -> None:
    result = await run("db", "ping")

    lines = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert {"server", "latency", "writable", "revision", "pools"} <= set(lines)
    assert "\x1b" not in result.stdout


async def test_a_ping_reaches_each_database_of_the_settings(
    migrated: None, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch, nowhere: str
) -> None:
    good = settings.primary_url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_REPLICA_URL", good)
    monkeypatch.setenv("DATABASE_MIGRATION_URL", good)

    result = await run("db", "ping", "--json")

    assert result.exit_code == 1
    reports = {each["purpose"]: each for each in json.loads(result.stdout)}
    assert list(reports) == ["service", "replica", "migrations"]
    assert reports["replica"]["problem"] is None
    assert reports["migrations"]["problem"] is None
    assert reports["service"]["problem"].startswith(f"{nowhere} cannot be used: ")


@pytest.mark.parametrize("words", [["db", "ping"], ["db", "upgrade"], ["db", "doctor"]])
async def test_a_database_that_cannot_be_reached_is_one_sentence_without_a_secret(
    nowhere: str, words: list[str]
) -> None:
    result = await run(*words)

    assert result.exit_code == 1
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith((f"{nowhere} cannot be used: ", f"Cannot connect to {nowhere}: "))
    assert "not-shown" not in result.output


@pytest.mark.parametrize(
    "words", [["db", "ping"], ["routes"], ["purge", "--days", "1"], ["db", "check"]]
)
async def test_invalid_settings_are_a_sentence_each(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "not-shown")

    result = await run(*words)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("DATABASE_POOL_SIZE: ")
    assert "not-shown" not in result.stderr


async def test_tables_are_migrated_and_compared_with_the_models(other: AsyncEngine) -> None:
    assert (await run("db", "upgrade")).exit_code == 0
    assert (await run("db", "check")).exit_code == 0
    assert (await run("db", "downgrade", "base")).exit_code == 0
    ping = await run("db", "ping")
    assert ping.exit_code == (3 if HAS_REVISIONS else 0)
    assert ("run `uv run app db upgrade`" in ping.stdout) == HAS_REVISIONS


async def test_the_sql_of_revisions_is_printed_and_not_executed(nowhere: str) -> None:
    result = await run("db", "sql")

    assert result.exit_code == 0
    assert ("CREATE TABLE alembic_version" in result.stdout) == HAS_REVISIONS


async def test_an_unknown_revision_is_one_sentence(migrated: None) -> None:
    result = await run("db", "upgrade", "none")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Can't locate revision identified by 'none'"


async def test_a_downgrade_outside_development_is_asked_for(
    nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    assert "Aborted" in (await run("db", "downgrade", "-1")).stderr
    assert "Cannot connect" in (await run("db", "downgrade", "-1", "--yes")).stderr


async def test_a_command_that_is_interrupted_leaves_nothing_half_done(database: Database) -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)

    assert ran.returncode == 130
    assert ran.stderr == "Interrupted. What was not committed is undone.\n"
    assert (
        await database.fetch(lambda session: read_all(session, select(LabShelf), ShelfRead)) == []
    )


async def writing(session: SessionDep) -> None: ...
async def reading(session: ReadSessionDep) -> None: ...
async def reading_fresh(session: PrimaryReadSessionDep) -> None: ...
async def opening(database: DatabaseDep) -> None: ...
async def computing() -> None: ...


def test_routes_have_their_session_and_their_cost(tmp_path: Path) -> None:
    budgets = tmp_path / "statements.txt"
    budgets.write_text("# statements  round trips  route\n   2   4  POST /writing\n")
    router = APIRouter()
    for endpoint in (writing, reading, reading_fresh, opening, computing):
        router.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["POST"])

    rows = [row[2:5] for row in find_routes(router.routes, read_budgets(budgets))]

    assert rows == [
        ["write", 2, 4],
        ["read", None, None],
        ["primary read", None, None],
        ["own", None, None],
        [None, None, None],
    ]


async def test_the_routes_of_the_service_are_listed() -> None:
    listed = json.loads((await run("routes", "--json")).stdout)
    shown = (await run("routes")).stdout

    assert "/health/live" in [each["path"] for each in listed]
    assert len(shown.splitlines()) == len(listed) + 1


async def test_a_purge_of_a_table_without_soft_deletion_is_refused(migrated: None) -> None:
    assert (await run("purge", "--days", "30")).exit_code == 0
    result = await run("purge", "--days", "30", "--table", "none")

    assert result.exit_code == 1
    assert result.stderr.startswith("No table none has soft deletion.")


@pytest.fixture
def with_domains(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Domains with commands, by name: `commands` of each, or the error that the file raises."""
    found: dict[str, Any] = {}

    def load(name: str) -> Any:
        commands = found[name.split(".")[2]]
        if isinstance(commands, Exception):
            raise commands
        return SimpleNamespace(commands=commands)

    monkeypatch.setattr(domains, "find_domains", lambda: sorted(found))
    monkeypatch.setattr(domains, "import_module", load)
    return found


async def test_commands_of_a_domain_are_found_by_place(with_domains: dict[str, Any]) -> None:
    commands = with_domains["invoices"] = typer.Typer(help="Work with invoices.")
    commands.command("remind")(lambda: typer.echo("Reminded."))
    commands.command("close")(lambda: typer.echo("Closed."))

    assert (await run("invoices", "remind")).stdout == "Reminded.\n"
    assert "Work with invoices." in (await run("--help")).stdout


async def test_a_file_with_an_error_does_not_stop_other_commands(
    with_domains: dict[str, Any],
) -> None:
    with_domains["invoices"] = NameError("name 'typo' is not defined")

    assert "invoices/commands.py cannot be used" in (await run("--help")).stdout
    result = await run("invoices", "remind")
    assert result.exit_code == 1
    assert result.stderr == (
        "app/domains/invoices/commands.py cannot be used: NameError: name 'typo' is not defined\n"
    )
