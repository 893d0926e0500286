"""Arrange the revisions that Alembic generates, so that they run on every database, both ways."""

import logging
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy import Enum

from app.core.portable_types import created_columns, use_portable_types

logger = logging.getLogger(__name__)


def arrange(
    context: MigrationContext,
    _: Any,
    scripts: Sequence[ops.MigrationScript],
) -> None:
    """Order the operations, and use portable types: `process_revision_directives` of Alembic.

    Tables are created after those that they refer to, and dropped before them. The order is the
    same each time. Types that were read from the database become the types of SQLAlchemy that
    this database creates in the same way.
    """
    for script in scripts:
        for upgrade in script.upgrade_ops_list:
            warn_of_enums(upgrade.ops)
            use_portable_types(upgrade.ops, context.dialect, existing=True)
            upgrade.ops = in_order(upgrade.ops)
        for downgrade in script.downgrade_ops_list:
            use_portable_types(downgrade.ops, context.dialect)
            downgrade.ops = in_order(downgrade.ops)


def in_order(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Return what creates tables, then what changes them, then what drops them."""
    created: list[ops.CreateTableOp] = []
    dropped: list[ops.DropTableOp] = []
    changes: list[ops.ModifyTableOps] = []
    others: list[ops.MigrateOperation] = []
    for each in operations:
        if isinstance(each, ops.CreateTableOp):
            created.append(each)
        elif isinstance(each, ops.DropTableOp):
            dropped.append(each)
        elif isinstance(each, ops.ModifyTableOps):
            changes.append(each)
        else:
            others.append(each)
    ordered: list[ops.MigrateOperation] = []
    for table in sort_tables(created):
        ordered.append(table)
        ordered += [each for each in changes if name_of(each) == name_of(table)]
    # The indexes of a dropped table are dropped with it, and not before its foreign keys.
    known = {name_of(each) for each in (*created, *dropped)}
    for change in sorted(changes, key=name_of):
        if name_of(change) not in known:
            change.ops = foreign_keys_first(change.ops)
            ordered.append(change)
    return [*ordered, *others, *reversed(sort_tables(dropped))]


def name_of(operation: Any) -> tuple[str, str]:
    return operation.schema or "", operation.table_name


def sort_tables(tables: Sequence[Any]) -> list[Any]:
    """Return the operations by name, and each after those of the tables that it refers to."""
    by_name = {name_of(each): each for each in sorted(tables, key=name_of)}
    referred = {
        name: sorted(by_name.keys() & targets_of(each) - {name}) for name, each in by_name.items()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(referred).static_order()]
    except CycleError:
        return list(by_name.values())


def targets_of(operation: Any) -> set[tuple[str, str]]:
    """Return the names of the tables to which the foreign keys of the table refer."""
    names = set()
    for key in operation.to_table().foreign_key_constraints:
        *schema, table, _ = key.elements[0].target_fullname.split(".")
        names.add((".".join(schema), table))
    return names


def foreign_keys_first(operations: Iterable[Any]) -> list[Any]:
    """Drop foreign keys before their indexes. Their order is otherwise by chance."""

    def key(operation: Any) -> tuple[int, str]:
        is_dropped = isinstance(operation, ops.DropConstraintOp)
        if is_dropped and operation.constraint_type == "foreignkey":
            return 0, str(operation.constraint_name)
        if isinstance(operation, ops.CreateForeignKeyOp):
            return 2, str(operation.constraint_name)
        return 1, ""

    return sorted(operations, key=key)


def warn_of_enums(operations: Iterable[Any]) -> None:
    """Warn of types that are created beside the table, and that Alembic does not compare."""
    for column in created_columns(operations):
        if isinstance(column.type, Enum) and column.type.native_enum and column.type.enum_class:
            logger.warning(
                "No revision can be generated for a new value of %s: derive it from Choice in"
                " app/core/models.py.",
                column.type.enum_class.__name__,
            )
