"""Whether the database is at the newest revision, and as the models say."""

from contextlib import AsyncExitStack
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.core import autogenerate, driver
from app.core.application import PYPROJECT
from app.core.command_line.examining.findings import Finding, Severity
from app.core.migrations import connect
from app.core.models import Base
from app.core.registry import import_models
from app.core.settings import CoreSettings


async def check_revisions_and_tables(settings: CoreSettings) -> list[Finding]:
    """Compare by the role that migrates: only it can create the tables that this needs."""
    import_models()
    try:
        scripts = ScriptDirectory.from_config(Config(toml_file=PYPROJECT))
        async with AsyncExitStack() as stack:
            connection = await connect(settings, stack)
            return await connection.run_sync(compare, scripts)
    except CommandError as error:
        reason = str(error)
    except DBAPIError as error:
        reason = driver.details_of(error).get("reason") or "The database refuses it."
    return [
        Finding(
            "not-examined",
            Severity.NOTE,
            f"pending-revision, drift: {reason.rstrip('.')}.",
            "What is wrong there stays unseen.",
            "Set DATABASE_MIGRATION_URL, and run the command where the folder migrations is.",
        )
    ]


def compare(connection: Connection, scripts: ScriptDirectory) -> list[Finding]:
    options = {**driver.MIGRATION_OPTIONS, "autogenerate_plugins": autogenerate.PLUGINS}
    context = MigrationContext.configure(connection, opts=options)
    current = set(context.get_current_heads())
    if unfinished := [*check_heads(scripts), *check_revisions(scripts, current)]:
        return unfinished
    found = [drift(each) for each in compare_metadata(context, Base.metadata)]
    return sorted(found, key=lambda each: each.what)


def check_heads(scripts: ScriptDirectory) -> list[Finding]:
    heads = sorted(scripts.get_heads())
    if len(heads) < 2:
        return []
    return [
        Finding(
            "several-heads",
            Severity.ERROR,
            f"There are {len(heads)} newest revisions: {', '.join(heads)}.",
            "Alembic upgrades to one of them only.",
            'uv run alembic merge heads -m "merge"',
        )
    ]


def check_revisions(scripts: ScriptDirectory, current: set[str]) -> list[Finding]:
    known = {each.revision: each for each in scripts.walk_revisions()}
    if unknown := sorted(current - known.keys()):
        return [
            Finding(
                "unknown-revision",
                Severity.ERROR,
                f"The database is at {', '.join(unknown)}, which is not in migrations/versions.",
                "This code is older than the database, or of another branch.",
                "Deploy the code that has this revision.",
            )
        ]
    applied = {each.revision for each in scripts.iterate_revisions(tuple(current), "base")}
    missing = [each for each in known.values() if each.revision not in applied]
    return [
        Finding(
            "pending-revision",
            Severity.ERROR,
            f"Revision {each.revision} was not run: {each.doc.rstrip('.')}.",
            "The code expects the tables that it makes: the service is not ready.",
            "uv run app db upgrade",
        )
        for each in reversed(missing)
    ]


def drift(difference: Any) -> Finding:
    return Finding(
        "drift",
        Severity.WARNING,
        describe(difference),
        "Somebody changed the tables by hand, or a model without a revision.",
        'uv run app db revision -m "…", review it, then: uv run app db upgrade',
    )


def describe(difference: Any) -> str:
    """Say what differs: Alembic has a tuple for each kind, and lists for changed columns."""
    if isinstance(difference, list):
        kinds = sorted({each[0].removeprefix("modify_") for each in difference})
        _, _, table, column, *_ = difference[0]
        return f"{table}.{column} differs from its model: {', '.join(kinds)}."
    action, *subject = difference
    verb, _, kind = action.partition("_")
    name = name_of(subject)
    if verb == "add":
        return f"The models have the {kind} {name}, which the database lacks."
    return f"The database has the {kind} {name}, which the models lack."


def name_of(subject: list[Any]) -> str:
    item = subject[-1]
    table = subject[-2] if len(subject) > 1 else getattr(item, "table", None)
    name = str(getattr(item, "name", item))
    return name if table is None else f"{getattr(table, 'name', table)}.{name}"
