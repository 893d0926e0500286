"""Compare the conditions of CHECK constraints and of partial indexes, which Alembic does not.

A server rewrites conditions, for example `IN (…)` as `= ANY (ARRAY[…])`. The conditions of the
models are therefore created on a temporary table and read back before they are compared.
"""

import logging
import re
import uuid
from itertools import chain
from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Connection, Dialect, Index, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

# The second one finds added and removed CHECK constraints by name.
PLUGINS = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", __name__]

TEXT = re.compile("('(?:[^']|'')*')")
WORD = re.compile(r'\w+|[^\w\s()"`]')
# Casts can differ after a backup is restored or the type of a column is changed.
CAST = re.compile(
    r"::(character varying|bit varying|double precision"
    r"|(timestamp|time)(\(\d\))? with(out)? time zone|[\w.]+)(\([\d,]+\))?(\[\])*"
)

Key = tuple[Literal["check_constraint", "index"], str]
Items = dict[Key, CheckConstraint | Index]
logger = logging.getLogger(__name__)


def compare_conditions(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _: str | None,
    table_name: str,
    found: Table | None,
    table: Table | None,
) -> PriorityDispatchResult:
    """Drop and recreate items whose condition in the database differs from the models."""
    connection = context.connection
    if connection is None or found is None or table is None:
        return PriorityDispatchResult.CONTINUE
    dialect = connection.dialect
    old, new = checks_and_indexes(found), checks_and_indexes(table)
    for kind, name in not_created(table, new, dialect):
        # Alembic's plug-in would add them nevertheless.
        changes.ops = [op for op in changes.ops if getattr(op, "constraint_name", "") != name]
        del new[kind, name]
    try:
        # Where a savepoint cannot undo DDL, the table is dropped with the connection.
        undone = context.migration_context.impl.transactional_ddl
        create = "CREATE TABLE" if undone else "CREATE TEMPORARY TABLE"
        written = as_written(connection, table, new, create)
    except DBAPIError as error:
        logger.warning("Cannot compare the conditions of %r: %s", table_name, error.orig)
        return PriorityDispatchResult.CONTINUE
    replaced: set[Key] = {("index", getattr(op, "index_name", "")) for op in changes.ops}
    for kind, name in sorted((old.keys() & new.keys()) - replaced):
        before, after = old[kind, name], new[kind, name]
        expected = condition(written.get((kind, name)), dialect)
        if normalized(expected) == normalized(condition(before, dialect)):
            continue
        if context.run_object_filters(after, name, kind, False, before):
            logger.info("Detected a changed condition of %r on %r", name, table_name)
            changes.ops += replacement(before, after)
    return PriorityDispatchResult.CONTINUE


def checks_and_indexes(table: Table) -> Items:
    """Return the named CHECK constraints and indexes, by kind and name."""
    constraints = chain(table.constraints, *(column.constraints for column in table.columns))
    found: Items = {}
    for item in (*constraints, *table.indexes):
        if isinstance(item, CheckConstraint | Index) and isinstance(item.name, str):
            key: Key = "index" if isinstance(item, Index) else "check_constraint", str(item.name)
            found[key] = item
    return found


def condition(item: CheckConstraint | Index | None, dialect: Dialect) -> Any:
    """Return the condition, or `None` for an index of all rows."""
    if isinstance(item, CheckConstraint):
        return item.sqltext
    where = item.dialect_options[dialect.name].get("where") if item is not None else None
    return text(where) if isinstance(where, str) else where


def not_created(table: Table, items: Items, dialect: Dialect) -> list[Key]:
    """Return the constraints of types that this database has natively, such as Boolean."""
    created = str(CreateTable(table).compile(dialect=dialect))
    quote = dialect.identifier_preparer.quote
    return [
        (kind, name)
        for kind, name in items
        if kind == "check_constraint" and f"CONSTRAINT {quote(name)} CHECK" not in created
    ]


def as_written(connection: Connection, table: Table, items: Items, create: str) -> Items:
    """Return the conditions of the models as the server writes them, using a temporary table."""
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    probe = f"conditions_{uuid.uuid4().hex}"
    parts = [f"{probe}_id INTEGER PRIMARY KEY"]
    parts += [f"{quote(each.name)} {each.type.compile(dialect)}" for each in table.columns]
    indexes: list[str] = []
    names: dict[Key, Key] = {}
    for number, ((kind, name), item) in enumerate(items.items()):
        if (expression := condition(item, dialect)) is not None:
            names[kind, name] = kind, f"{probe}_{number}"
            options = {"literal_binds": True, "include_table": False}
            sql = expression.compile(dialect=dialect, compile_kwargs=options)
            if kind == "index":
                index = f"CREATE INDEX {probe}_{number} ON {probe} ({probe}_id) WHERE {sql}"
                indexes.append(index)
            else:
                parts.append(f"CONSTRAINT {probe}_{number} CHECK ({sql})")
    if not names:
        return {}
    with connection.begin_nested() as savepoint:
        for statement in (f"{create} {probe} ({', '.join(parts)})", *indexes):
            connection.exec_driver_sql(statement)
        written = checks_and_indexes(Table(probe, MetaData(), autoload_with=connection))
        savepoint.rollback()
    return {key: written[probed] for key, probed in names.items()}


def normalized(expression: Any) -> list[str]:
    """Return the words and operators of a condition, without casts and parentheses."""
    words: list[str] = []
    for number, part in enumerate(TEXT.split("" if expression is None else str(expression))):
        words += [part] if number % 2 else WORD.findall(CAST.sub("", part.lower()))
    return words


def replacement(before: Any, after: CheckConstraint | Index) -> list[ops.MigrateOperation]:
    if isinstance(after, Index):
        return [ops.DropIndexOp.from_index(before), ops.CreateIndexOp.from_index(after)]
    drop = ops.DropConstraintOp.from_constraint(before)
    return [drop, ops.AddConstraintOp.from_constraint(after)]


Plugin(__name__).add_autogenerate_comparator(
    compare_conditions, "table", "conditions", priority=DispatchPriority.LAST
)
