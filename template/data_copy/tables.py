"""The tables of a copy, in an order in which their rows can be inserted.

They have the names and types of the models' tables, without what would change a value: defaults
and `onupdate`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Select,
    Table,
    TableClause,
    and_,
    bindparam,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import Update

from data_copy.errors import DataCopyError
from data_copy.values import Checksum, exact_type, stored_type


@dataclass(frozen=True, kw_only=True)
class CopiedTable:
    """A table, and how its columns are copied."""

    name: str
    clause: TableClause
    key: tuple[str, ...]
    integers: tuple[str, ...]
    """The columns that the database may number."""
    written: tuple[str, ...]
    """All columns but those that the database computes. They come first in `clause`."""
    deferred: tuple[str, ...]
    """The columns that are set once all tables are filled: they refer to later rows."""
    parent: tuple[tuple[str, str], ...]
    """A reference to the same table that cannot be deferred: its columns and their targets."""

    def checksum(self) -> Checksum:
        return Checksum([each.type for each in self.clause.columns])

    def select(self) -> Select[*tuple[Any, ...]]:
        """All rows, each after the row of this table that it must refer to."""
        query = self.clause.select()
        if not self.parent:
            return query
        levels = self.levels()
        same = (self.clause.c[name] == levels.c[name] for _, name in self.parent)
        return query.join(levels, and_(*same)).order_by(levels.c.level)

    def select_deferred(self) -> Select[*tuple[Any, ...]]:
        columns = [self.clause.c[name] for name in self.deferred]
        keys = [self.clause.c[name] for name in self.key]
        return select(*keys, *columns).where(or_(*(each.is_not(None) for each in columns)))

    def update_deferred(self) -> Update:
        """Its parameters are `key_…` and `new_…`, in the order of `select_deferred`."""
        keys = (self.clause.c[name] == bindparam(f"key_{name}") for name in self.key)
        return (
            update(self.clause)
            .where(*keys)
            .values({name: bindparam(f"new_{name}") for name in self.deferred})
        )

    def levels(self) -> Any:
        """The number of references from each row up to a row that refers to itself."""
        own, child = self.clause, self.clause.alias("child")
        targets = [target for _, target in self.parent]

        def refers(one: Any, other: Any) -> ColumnElement[bool]:
            return and_(*(one.c[name] == other.c[target] for name, target in self.parent))

        first = select(*(own.c[name] for name in targets), literal_column("0").label("level"))
        levels = first.where(refers(own, own)).cte("levels", recursive=True)
        step = select(*(child.c[name] for name in targets), levels.c.level + 1)
        return levels.union_all(step.where(refers(child, levels), not_(refers(child, child))))


def tables_in_order(metadata: MetaData) -> list[CopiedTable]:
    """Each table after those that it refers to. Raises `DataCopyError` if there is no order."""
    order: list[CopiedTable] = []
    waiting = sorted(metadata.tables.values(), key=lambda table: table.key)
    deferred: set[ForeignKeyConstraint] = set()
    while waiting:
        blocked = {table: next(references(table, waiting, deferred), None) for table in waiting}
        ready = [table for table, reference in blocked.items() if reference is None]
        if not ready:
            deferred.add(choose_optional(find_cycle(waiting[0], blocked)))
        order += [build(table, deferred) for table in ready]
        waiting = [table for table in waiting if table not in ready]
    return order


def references(
    table: Table, others: Collection[Table], deferred: Collection[ForeignKeyConstraint]
) -> Iterator[ForeignKeyConstraint]:
    """The references to other tables that are not in the order yet."""
    for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
        other = constraint.referred_table
        if other is not table and other in others and constraint not in deferred:
            yield constraint


def find_cycle(start: Table, blocked: dict[Table, Any]) -> list[ForeignKeyConstraint]:
    path: list[ForeignKeyConstraint] = [blocked[start]]
    while path[-1].referred_table not in (passed := [each.table for each in path]):
        path.append(blocked[path[-1].referred_table])
    return path[passed.index(path[-1].referred_table) :]


def choose_optional(cycle: list[ForeignKeyConstraint]) -> ForeignKeyConstraint:
    for constraint in cycle:
        if optional(constraint):
            return constraint
    names = ", ".join(str(constraint.name) for constraint in cycle)
    raise DataCopyError(f"These foreign keys form a cycle, and none can be NULL: {names}.")


def optional(constraint: ForeignKeyConstraint) -> list[str]:
    """The columns that can be NULL: then the row refers to nothing."""
    return [each.name for each in constraint.columns if each.nullable]


def build(table: Table, deferred: Collection[ForeignKeyConstraint]) -> CopiedTable:
    own = [each for each in table.foreign_key_constraints if each.referred_table is table]
    later = {name for each in (*own, *deferred) if each.table is table for name in optional(each)}
    required = [each for each in own if not optional(each)]
    if len(required) > 1:
        names = ", ".join(sorted(str(each.name) for each in required))
        raise DataCopyError(
            f"{table.name} has more than one foreign key to itself that cannot be NULL, {names}: "
            "no order of its rows is known."
        )
    if later and not table.primary_key.columns:
        raise DataCopyError(f"{table.name} needs a primary key: it refers to later rows.")
    columns = sorted(table.columns, key=lambda each: each.computed is not None)
    exact = [ColumnClause(each.name, exact_type(each.type)) for each in columns]
    return CopiedTable(
        name=table.name,
        clause=TableClause(table.name, *exact, schema=table.schema),
        key=tuple(each.name for each in table.primary_key.columns),
        integers=tuple(
            each.name for each in columns if isinstance(stored_type(each.type), Integer)
        ),
        written=tuple(each.name for each in columns if each.computed is None),
        deferred=tuple(sorted(later)),
        parent=tuple(
            (key.parent.name, key.column.name) for each in required for key in each.elements
        ),
    )
