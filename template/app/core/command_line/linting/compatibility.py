"""What a revision breaks for the version of the service that runs until the new one is deployed."""

import re
from collections.abc import Iterable, Iterator

from alembic.operations import ops

from app.core.command_line.linting.checking.findings import Finding
from app.core.command_line.linting.recipes import RECIPES
from app.core.command_line.linting.recording import Step

# What SQL of the revision's own does to a table.
STATEMENTS = {
    "ban-drop-table": re.compile(r"\bDROP\s+TABLE\b", re.IGNORECASE),
    "ban-drop-column": re.compile(
        r"\bALTER\s+TABLE\b.*\bDROP\s+COLUMN\b", re.IGNORECASE | re.DOTALL
    ),
    "renaming-column": re.compile(
        r"\bALTER\s+TABLE\b.*\bRENAME\s+COLUMN\b", re.IGNORECASE | re.DOTALL
    ),
    "renaming-table": re.compile(
        r"\bRENAME\s+TABLE\b|\bALTER\s+TABLE\b.*\bRENAME\s+TO\b", re.IGNORECASE | re.DOTALL
    ),
}
MESSAGES = {
    "adding-required-field": "Inserts of the running version do not have the column, and fail.",
    "adding-not-nullable-field": (
        "It fails if a row has NULL there, as do inserts of the running version that have it."
    ),
    "ban-drop-column": "The running version still reads the column, and fails.",
    "ban-drop-table": "The running version still uses the table, and fails.",
    "renaming-column": "The running version uses the old name, and fails.",
    "renaming-table": "The running version uses the old name, and fails.",
}


def broken_promises(steps: Iterable[Step]) -> Iterator[Finding]:
    """Yield what the running version does not expect."""
    for step in steps:
        for rule in rules_broken(step.operation):
            recipe = RECIPES[rule]
            is_error = rule != "adding-not-nullable-field"
            yield Finding(step.line, rule, MESSAGES[rule], recipe, is_error=is_error)


def rules_broken(operation: ops.MigrateOperation) -> Iterator[str]:
    match operation:
        case ops.AddColumnOp(column=column):
            if not column.nullable and column.server_default is None:
                yield "adding-required-field"
        case ops.DropColumnOp():
            yield "ban-drop-column"
        case ops.DropTableOp():
            yield "ban-drop-table"
        case ops.RenameTableOp():
            yield "renaming-table"
        case ops.AlterColumnOp():
            if operation.modify_name is not None:
                yield "renaming-column"
            if operation.modify_nullable is False:
                yield "adding-not-nullable-field"
        case ops.ExecuteSQLOp(sqltext=sql):
            yield from (rule for rule, pattern in STATEMENTS.items() if pattern.search(str(sql)))
