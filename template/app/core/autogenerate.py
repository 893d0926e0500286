"""Find what Alembic does not compare: the conditions of CHECK constraints and of partial indexes.

A server rewrites conditions, `IN (…)` as `= ANY (ARRAY[…])` for example. So those of the models are
put on a temporary table, and both are compared as the server has written them.
"""

import logging
import re
import uuid
from itertools import chain
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Connection, Dialect, Index, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

# The second one finds CHECK constraints that are new or gone, by their names.
PLUGINS = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", __name__]

TEXT = re.compile("('(?:[^']|'')*')")
WORD = re.compile(r'\w+|[^\w\s()"`]')
# PostgreSQL's casts differ after a restored backup, or when the type of a column was changed.
CAST = re.compile(
    r"::(character varying|bit varying|double precision"
    r"|(timestamp|time)(\(\d\))? with(out)? time zone|[\w.]+)(\([\d,]+\))?(\[\])*"
)

Items = dict[tuple[str, str], CheckConstraint | Index]
logger = logging.getLogger(__name__)


def compare_conditions(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _: str | None,
    table_name: str,
    found: Table | None,
    table: Table | None,
) -> PriorityDispatchResult:
    """Drop and create again what has another condition in the database than in the models."""
    connection = context.connection
    if connection is None or found is None or table is None:
        return PriorityDispatchResult.CONTINUE
    dialect = connection.dialect
    old, new = checks_and_indexes(found), checks_and_indexes(table)
    for kind, name in not_created(table, new, dialect):
        # The plug-in wants them nevertheless.
        changes.ops = [op for op in changes.ops if getattr(op, "constraint_name", "") != name]
        del new[kind, name]
    try:
        written = as_written(connection, table, new)
    except DBAPIError as error:
        logger.warning("Cannot compare the conditions of %r: %s", table_name, error.orig)
        return PriorityDispatchResult.CONTINUE
    replaced = {("index", getattr(op, "index_name", "")) for op in changes.ops}
    for kind, name in sorted((old.keys() & new.keys()) - replaced):
        before, after = old[kind, name], new[kind, name]
        expected = condition(written.get((kind, name)), dialect)
        if normalized(expected) == normalized(condition(before, dialect)):
            continue
        if context.run_object_filters(after, name, kind, False, before):
            logger.info("Detected another condition of %r on %r", name, table_name)
            changes.ops += replacement(before, after)
    return PriorityDispatchResult.CONTINUE


def checks_and_indexes(table: Table) -> Items:
    """Those that have names, by kind and name."""
    constraints = chain(table.constraints, *(column.constraints for column in table.columns))
    found: Items = {}
    for item in (*constraints, *table.indexes):
        if isinstance(item, CheckConstraint | Index) and isinstance(item.name, str):
            kind = "index" if isinstance(item, Index) else "check_constraint"
            found[kind, str(item.name)] = item
    return found


def condition(item: CheckConstraint | Index | None, dialect: Dialect) -> Any:
    """`None` for an index of all rows."""
    if isinstance(item, CheckConstraint):
        return item.sqltext
    where = item.dialect_options[dialect.name].get("where") if item is not None else None
    return text(where) if isinstance(where, str) else where


def not_created(table: Table, items: Items, dialect: Dialect) -> list[tuple[str, str]]:
    """The constraints of types that this database has itself, such as Boolean."""
    created, quote = str(CreateTable(table).compile(dialect=dialect)), dialect.identifier_preparer
    return [
        (kind, name)
        for kind, name in items
        if kind != "index" and f"CONSTRAINT {quote.quote(name)} CHECK" not in created
    ]


def as_written(connection: Connection, table: Table, items: Items) -> Items:
    """The conditions of the models, as the server writes them.

    The temporary table is gone with the savepoint, in MySQL with the connection.
    """
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    probe = f"conditions_{uuid.uuid4().hex}"
    columns = [f"{quote(each.name)} {each.type.compile(dialect)}" for each in table.columns]
    checks, indexes = [], []
    for (kind, name), item in items.items():
        if (expression := condition(item, dialect)) is None:
            continue
        options = {"literal_binds": True, "include_table": False}
        sql = expression.compile(dialect=dialect, compile_kwargs=options)
        if kind == "index":
            indexes.append(f"CREATE INDEX {quote(name)} ON {probe} (probe_id) WHERE {sql}")
        else:
            checks.append(f"CONSTRAINT {quote(name)} CHECK ({sql})")
    if not checks and not indexes:
        return {}
    parts = ", ".join(["probe_id INTEGER PRIMARY KEY", *columns, *checks])
    with connection.begin_nested() as savepoint:
        for statement in (f"CREATE TEMPORARY TABLE {probe} ({parts})", *indexes):
            connection.exec_driver_sql(statement)
        written = checks_and_indexes(Table(probe, MetaData(), autoload_with=connection))
        savepoint.rollback()
    return written


def normalized(expression: Any) -> list[str]:
    """The words and signs of a condition, without casts and parentheses."""
    words = []
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
