import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typer.testing import CliRunner

from app.core.command_line.examining.connection_budget import (
    ConnectionBudget,
    connections_of_process,
)
from app.core.command_line.examining.examination import examine
from app.core.command_line.examining.findings import (
    Check,
    Finding,
    QueryCheck,
    SafeSetting,
    Severity,
    exit_status,
    unsafe_settings,
)
from app.core.command_line.examining.health_checks import CHECKS
from app.core.command_line.examining.revision_checks import check_heads, check_revisions
from app.core.command_line.examining.schema_checks import duplicate_indexes
from app.core.command_line.examining.table_schemas import TableIndex, TableSchema
from app.core.command_line.reasons import public_address
from app.core.commands import command_line
from app.core.database import Database
from app.core.settings import CoreSettings
from tests.core.sick_database import EXPECTED, LIMITS, OTHER_CHECKS, make_sick, sick_sessions

OF_TABLES = {"duplicate-index", "foreign-key-without-index", "table-without-primary-key"}
KEY = TableIndex(
    name="pk",
    columns=("id",),
    options="",
    is_unique=True,
    is_constraint=True,
    is_declared=True,
    is_partial=False,
)
BY_NAME = replace(KEY, name="by_name", columns=("name",), is_unique=False, is_constraint=False)


async def upgrade() -> None:
    await asyncio.to_thread(command.upgrade, Config(toml_file="pyproject.toml"), "head")


async def run_doctor(*options: str) -> Any:
    """The command has an event loop of its own."""
    arguments = ["db", "doctor", *options]
    return await asyncio.to_thread(CliRunner().invoke, command_line, arguments)


def without_settings(findings: Sequence[Finding]) -> list[Finding]:
    """The server of the tests is fast, not safe."""
    return [each for each in findings if each.check != "unsafe-setting"]


def finding(severity: Severity) -> Finding:
    return Finding("check", severity, "What.", "Why.", "Mend;")


async def test_a_healthy_database_has_no_findings(other: AsyncEngine) -> None:
    """Which indexes the tables of the service have is not the template's affair."""
    await upgrade()

    found = without_settings(await examine(CoreSettings()))
    assert [each for each in found if each.check not in OF_TABLES] == []


async def test_each_fault_of_a_sick_database_is_found_with_what_mends_it(
    other: AsyncEngine,
) -> None:
    await upgrade()
    async with other.connect() as connection:
        await make_sick(await connection.execution_options(isolation_level="AUTOCOMMIT"))
    checks: list[Check] = [*map(with_low_limits, CHECKS), *OTHER_CHECKS]
    async with sick_sessions(other):
        findings = await examine(CoreSettings(), checks=checks)

    missing = [each for each in EXPECTED if not any(is_expected(one, *each) for one in findings)]
    assert missing == []
    known = {check for check, *_ in EXPECTED} | {"not-examined"}
    assert {each.check for each in without_settings(findings)} <= known

    printed = await run_doctor()
    as_json = await run_doctor("--json")
    assert printed.exit_code == as_json.exit_code == 1
    assert all(each["what"] in printed.stdout for each in json.loads(as_json.stdout))


def with_low_limits(check: Check) -> Check:
    if isinstance(check, QueryCheck) and check.name in LIMITS:
        return replace(check, limits=LIMITS[check.name])
    return check


def is_expected(found: Finding, check: str, severity: str, what: str, mend: str) -> bool:
    return (found.check, found.severity) == (check, severity) and (
        what in found.what and mend in found.mend
    )


async def test_a_check_that_is_refused_or_slow_is_a_note_and_stops_no_other(
    other: AsyncEngine,
) -> None:
    refused = QueryCheck(
        "rows", Severity.ERROR, "SELECT 1 FROM missing", "", "", "", grant="GRANT …"
    )

    async def find_nothing(_: AsyncConnection) -> list[Finding]:
        await asyncio.sleep(60)
        return []

    async def find_something(connection: AsyncConnection) -> list[Finding]:
        await connection.execute(text("SELECT 1"))
        return [finding(Severity.HINT)]

    settings = CoreSettings(database_statement_timeout_seconds=1)
    checks: list[Check] = [refused, find_nothing, find_something]
    found = await examine(settings, checks=checks)
    found = [each for each in found if each.check in {"check", "not-examined"}]

    assert [(each.check, each.mend) for each in found] == [
        ("check", "Mend;"),
        ("not-examined", "GRANT …"),
        ("not-examined", "Run the command again, as a role that may read this."),
    ]
    assert "nothing: It takes longer than 1 seconds." in found[-1].what


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ([], 0),
        ([Severity.HINT, Severity.NOTE], 0),
        ([Severity.WARNING, Severity.HINT], 3),
        ([Severity.WARNING, Severity.ERROR], 1),
    ],
)
def test_the_exit_status_is_that_of_the_worst_finding(
    severities: list[Severity], status: int
) -> None:
    assert exit_status(map(finding, severities)) == status


def test_only_settings_that_are_not_safe_are_found() -> None:
    setting = SafeSetting("fsync", lambda value: value == "on", Severity.ERROR, "Why.", "Mend;")

    assert unsafe_settings([setting], {"fsync": "on"}) == []
    assert unsafe_settings([setting], {}) == []
    assert [each.what for each in unsafe_settings([setting], {"fsync": "off"})] == [
        "The server has fsync = off."
    ]


@pytest.mark.parametrize("replica", [None, True])
def test_the_budget_has_all_connections_to_the_primary(
    settings: CoreSettings, replica: bool | None
) -> None:
    changes: dict[str, Any] = {"database_max_overflow": 4}
    if replica:
        address = settings.primary_url.set(database="replica")
        changes["database_replica_url"] = address.render_as_string(hide_password=False)
    settings = CoreSettings(**changes)
    engines = [each for each in Database(settings).engines if each.url.database != "replica"]
    pools: list[Any] = [each.pool for each in engines]

    opened = sum(pool.size() + pool._max_overflow for pool in pools)
    assert connections_of_process(settings) >= opened


@pytest.mark.parametrize(
    ("limit", "severities", "mend"),
    [
        (100, [], ""),
        (50, [Severity.WARNING], "DATABASE_POOL_SIZE=9"),
        (40, [Severity.ERROR], "DATABASE_POOL_SIZE=7"),
        (9, [Severity.ERROR], "Run fewer processes"),
    ],
)
def test_the_budget_says_which_pools_fit(limit: int, severities: list[Severity], mend: str) -> None:
    budget = ConnectionBudget(CoreSettings(), processes=2).compare(limit)

    assert [each.severity for each in budget] == severities
    assert all(mend in each.mend for each in budget)


@pytest.mark.parametrize(
    "second",
    [
        replace(BY_NAME, name="by_name_and_id", columns=("name", "id"), options="WHERE is_open"),
        replace(BY_NAME, name="by_id_and_name", columns=("id", "name")),
        replace(BY_NAME, name="uq_name_and_id", columns=("name", "id"), is_unique=True),
        replace(BY_NAME, name="by_expression", columns=("",)),
        replace(KEY, name="of_few_rows", is_constraint=False, is_partial=True),
    ],
    ids=lambda index: index.name,
)
def test_an_index_that_finds_something_else_is_no_duplicate(second: TableIndex) -> None:
    by_name = replace(BY_NAME, is_unique=True)
    table = TableSchema("things", ("id",), [KEY, by_name, second], [])

    assert list(duplicate_indexes(table, str)) == []


def test_of_two_equal_indexes_the_one_in_the_model_is_kept() -> None:
    table = TableSchema(
        "things", ("id",), [replace(BY_NAME, name="a", is_declared=False), BY_NAME], []
    )

    assert [each.what for each in duplicate_indexes(table, str)] == [
        "things: by_name finds all that a does."
    ]


def write_revisions(folder: Path, *revisions: tuple[str, str | None]) -> ScriptDirectory:
    for name, before in revisions:
        (folder / f"{name}.py").write_text(
            f'"""Make {name}."""\nrevision = {name!r}\ndown_revision = {before!r}\n'
        )
    return ScriptDirectory("migrations", version_locations=[str(folder)])


def test_pending_and_unknown_revisions_are_found(tmp_path: Path) -> None:
    scripts = write_revisions(tmp_path, ("a", None), ("b", "a"), ("c", "b"))

    assert check_revisions(scripts, {"c"}) == []
    assert [each.what for each in check_revisions(scripts, {"a"})] == [
        "Revision b was not run: Make b.",
        "Revision c was not run: Make c.",
    ]
    assert [each.check for each in check_revisions(scripts, {"gone"})] == ["unknown-revision"]


def test_several_newest_revisions_are_found(tmp_path: Path) -> None:
    scripts = write_revisions(tmp_path, ("a", None), ("b", "a"), ("c", "a"))

    assert [each.mend for each in check_heads(scripts)] == ['uv run alembic merge heads -m "merge"']


def test_an_address_has_no_secrets() -> None:
    url = URL.create("dialect", "name", "secret", "host", 1, "app", {"sslkey": "secret"})

    assert public_address(url) == "dialect://host:1/app"
