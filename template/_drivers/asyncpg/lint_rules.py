"""What squawk finds in the SQL of a revision on PostgreSQL."""

import io
import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import AlterColumnOp, BulkInsertOp
from sqlalchemy import Dialect, String, Text, UpdateBase

from app.core.command_line.linting.checking.findings import Finding
from app.core.command_line.output import fail
from app.core.command_line.linting.recipes import RECIPES
from app.core.command_line.linting.recording import Step

__all__ = ["check"]

NOT_FOR_REVISIONS = (
    "adding-foreign-key-constraint",  # the same as constraint-missing-not-valid
    "ban-drop-constraint",  # a new value of a set replaces its CHECK constraint
    "prefer-bigint-over-int",  # SQLAlchemy's Integer is what the author has chosen
    "prefer-identity",  # SQLAlchemy makes SERIAL of a key that counts
    "prefer-robust-stmts",  # IF NOT EXISTS takes an invalid index for a valid one
    "prefer-text-field",  # a length is a limit that the schemas have, too
    "require-enum-value-ordering",
    "require-lock-timeout",  # app/core/migrations.py limits locks, and repeats the revision
    "require-statement-timeout",
    "require-timeout-settings",
)
# They fail, or make the running version fail, where others only block it for a while.
ERRORS = {
    "adding-required-field",
    "ban-concurrent-index-creation-in-transaction",
    "syntax-error",
}
# CONCURRENTLY in a transaction is not found if it is the only statement.
BEFORE = "SELECT 1;"
CONCURRENTLY = (
    "in a revision of its own, with op.get_context().autocommit_block():"
    " op.{}(…, postgresql_concurrently=True)."
)
OWN_RECIPES = RECIPES | {
    "adding-field-with-default": (
        "add the column without a default, set the default in a second operation, and fill in the"
        ' rows in a later revision ("A migration of data" in docs/patterns.md).'
    ),
    "adding-not-nullable-field": (
        "add CHECK (name IS NOT NULL) with postgresql_not_valid=True. In a later revision VALIDATE"
        " it, then set NOT NULL, which then reads no rows, then drop it."
    ),
    "ban-concurrent-index-creation-in-transaction": CONCURRENTLY.format("create_index"),
    "constraint-missing-not-valid": (
        "add it with postgresql_not_valid=True. In a later revision:"
        ' op.execute("ALTER TABLE … VALIDATE CONSTRAINT …").'
    ),
    "disallowed-unique-constraint": (
        "create a unique index concurrently. In a later revision:"
        ' op.execute("ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX …").'
    ),
    "require-concurrent-index-creation": CONCURRENTLY.format("create_index"),
    "require-concurrent-index-deletion": CONCURRENTLY.format("drop_index"),
}


def check(steps: Sequence[Step], dialect: Dialect) -> Iterator[Finding]:
    """Yield what squawk finds. What runs outside of the transaction is looked at by itself."""
    for is_in_transaction, part in groupby(steps, key=lambda each: each.is_in_transaction):
        lines = [line for step in part for line in sql_lines(step, dialect)]
        sql = "\n".join(text for text, _ in lines)
        for each in run_squawk(sql, is_in_transaction=is_in_transaction) if sql else ():
            _, step = lines[each["line"] - 1]
            if not is_harmless(each["rule_name"], step):
                yield to_finding(each, step)


def sql_lines(step: Step, dialect: Dialect) -> Iterator[tuple[str, Step]]:
    """Yield each line of the SQL of a step. Statements that only change rows have none."""
    operation = step.operation
    if isinstance(operation, BulkInsertOp) or isinstance(
        getattr(operation, "sqltext", None), UpdateBase
    ):
        return
    buffer = io.StringIO()
    options = {"as_sql": True, "output_buffer": buffer, "literal_binds": True}
    context = MigrationContext.configure(dialect=dialect, opts=options)
    Operations(context).invoke(operation)
    yield from ((line, step) for line in buffer.getvalue().splitlines())


def run_squawk(sql: str, *, is_in_transaction: bool) -> list[dict[str, Any]]:
    """Return what squawk finds. The first line of the SQL is line 1."""
    program = shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")
    if program is None:
        fail("squawk is not installed: it is a development dependency, run `uv sync`.")
    command = [program, "--reporter=json", "--stdin-filepath=revision.sql"]
    command += [f"--exclude={','.join(NOT_FOR_REVISIONS)}"]
    command += ["--assume-in-transaction"] if is_in_transaction else []
    text = f"{BEFORE}\n{sql}"
    found = subprocess.run(command, input=text, check=False, capture_output=True, text=True)  # noqa: S603 - no shell
    try:
        return list(json.loads(found.stdout))
    except json.JSONDecodeError:
        fail(f"squawk failed: {found.stderr.strip() or found.stdout.strip()}")


def to_finding(found: dict[str, Any], step: Step) -> Finding:
    rule = found["rule_name"]
    recipe = OWN_RECIPES.get(rule) or found["help"] or ""
    return Finding(step.line, rule, found["message"], recipe, is_error=rule in ERRORS)


def is_harmless(rule: str, step: Step) -> bool:
    """Return whether squawk lacks what the operations tell."""
    return step.is_on_new_table or (rule == "changing-column-type" and is_longer_text(step))


def is_longer_text(step: Step) -> bool:
    """Return whether a text becomes longer, for which PostgreSQL neither reads nor writes rows."""
    operation = step.operation
    if not isinstance(operation, AlterColumnOp):
        return False
    before, after = operation.existing_type, operation.modify_type
    if not isinstance(before, String) or not isinstance(after, String):
        return False
    return isinstance(after, Text) or (after.length or 0) >= (before.length or float("inf"))
