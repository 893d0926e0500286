"""What a revision blocks or breaks on MySQL and MariaDB, with InnoDB."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import Computed, DefaultClause, Dialect
from sqlalchemy.types import TypeEngine

from app.core.command_line.linting.checking.compatibility import broken_promises
from app.core.command_line.linting.checking.findings import Finding
from app.core.command_line.linting.recipes import RECIPES
from app.core.command_line.linting.recording import Step

__all__ = ["check"]

COPIES = "The table is copied. Its rows cannot be written until that is done: {}."
RULES = {
    "adding-check-constraint": (
        COPIES.format("to check them takes seconds for a million"),
        "there is no other way. Do it when few requests write to the table, and give the number of"
        " its rows as the reason of an exemption.",
    ),
    "adding-field-with-default": (
        COPIES.format("the default is computed for each of them"),
        "add the column nullable and without the default, and fill in the rows in a later revision"
        ' ("A migration of data" in docs/patterns.md).',
    ),
    "adding-foreign-key-constraint": (
        COPIES.format("to check them takes seconds for a million"),
        "check with a query that no row lacks its target, then add it between"
        ' op.execute("SET SESSION foreign_key_checks = 0") and the same with 1: nothing is copied.',
    ),
    "adding-primary-key": (
        COPIES.format("it is stored in the order of its key"),
        "create a new table with the key, copy the rows in chunks, and use that one.",
    ),
    "alter-without-algorithm": (
        "It is not known what this SQL blocks.",
        "end it with ALGORITHM=INPLACE, LOCK=NONE (or ALGORITHM=INSTANT): then the server refuses"
        " it instead of blocking the table.",
    ),
    "changing-column-type": (COPIES.format("each is converted"), RECIPES["changing-column-type"]),
}
LONGEST_OF_ONE_BYTE = 63  # characters of a text whose length takes one byte: 255 // 4
ALTER = re.compile(r"\s*(ALTER\s+TABLE|CREATE\s+(\w+\s+)?INDEX|OPTIMIZE\s+TABLE)\b", re.IGNORECASE)
ALGORITHM = re.compile(r"\bALGORITHM\s*=?\s*(INSTANT|INPLACE|NOCOPY)\b", re.IGNORECASE)
UNCHECKED = re.compile(r"foreign_key_checks\s*=\s*(\d|ON|OFF)", re.IGNORECASE)
PLAIN_DEFAULT = re.compile(
    r"'.*'|[-\w.]+|current_timestamp\(\d*\)|now\(\d*\)", re.IGNORECASE | re.DOTALL
)


def check(steps: Sequence[Step], dialect: Dialect) -> Iterator[Finding]:
    existing = [step for step in steps if not step.is_on_new_table]
    yield from broken_promises(existing)
    are_keys_checked = True
    for step in existing:
        operation = step.operation
        if found := UNCHECKED.search(str(getattr(operation, "sqltext", ""))):
            are_keys_checked = found[1].upper() in {"1", "ON"}
        if isinstance(operation, ops.CreateForeignKeyOp) and not are_keys_checked:
            continue
        if rule := rule_broken(operation, dialect):
            yield Finding(step.line, rule, *RULES[rule])


def rule_broken(operation: ops.MigrateOperation, dialect: Dialect) -> str | None:
    """Return why writes wait, or `None`. Measured: see docs/database.md."""
    rule = None
    match operation:
        case ops.AddColumnOp(column=column) if is_computed(column.server_default, dialect):
            rule = "adding-field-with-default"
        case ops.AlterColumnOp() if changes_type(operation):
            rule = "changing-column-type"
        case ops.CreateForeignKeyOp():
            rule = "adding-foreign-key-constraint"
        case ops.CreateCheckConstraintOp():
            rule = "adding-check-constraint"
        case ops.CreatePrimaryKeyOp() | ops.DropConstraintOp(constraint_type="primary"):
            rule = "adding-primary-key"
        case ops.ExecuteSQLOp(sqltext=sql) if ALTER.match(text := str(sql)):
            rule = None if ALGORITHM.search(text) else "alter-without-algorithm"
    return rule


def is_computed(default: Any, dialect: Dialect) -> bool:
    """Return whether the server computes the value of each row that is there."""
    if isinstance(default, Computed):
        return bool(default.persisted)
    if not isinstance(default, DefaultClause) or isinstance(default.arg, str):
        return False
    return PLAIN_DEFAULT.fullmatch(str(default.arg.compile(dialect=dialect))) is None


def changes_type(change: ops.AlterColumnOp) -> bool:
    before, after = change.existing_type, change.modify_type
    if after is None:
        return False
    return not (is_text(before) and is_text(after) and becomes_longer(before, after))


def is_text(type_: TypeEngine[Any] | None) -> bool:
    return type(type_).__name__.upper() in {"STRING", "VARCHAR"}


def becomes_longer(before: Any, after: Any) -> bool:
    """Return whether only the limit changes: the length takes as many bytes as before."""
    limits = before.length or 0, after.length or 0
    return limits[0] <= limits[1] and (
        limits[1] <= LONGEST_OF_ONE_BYTE or limits[0] > LONGEST_OF_ONE_BYTE
    )
