"""The tables of a copy, in the order in which their rows can be inserted.

A table here has the names and types of the model's, and nothing that would change a value: no
defaults, no `onupdate`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Select,
    Table,
    TableClause,
    and_,
    bindparam,
    column,
    literal_column,
    not_,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.sql.dml import Insert, Update

from app.core.data_copy.databases import ExactInsert
from app.core.data_copy.errors import DataCopyError
from app.core.data_copy.values import Checksum, exact_type, stored_type


@dataclass(frozen=True, kw_only=True)
class CopiedTable:
    """A table, and what of it has to be done in which way."""

    name: str
    clause: TableClause
    integers: tuple[str, ...]
    """The columns that may count up."""
    key: tuple[str, ...]
    written: tuple[str, ...]
    """All columns but those that the database computes."""
    deferred: tuple[str, ...]
    """Set once all rows are there: they refer to rows that come later."""
    own_parent: tuple[tuple[str, str], ...]
    """The columns of a reference to the same table that cannot be deferred, and their targets."""

    def insert(self) -> Insert:
        return ExactInsert(self.clause)

    def select_unordered(self) -> Select[*tuple[Any, ...]]:
        return select(*self.clause.columns)

    def select(self) -> Select[*tuple[Any, ...]]:
        """All rows, those that others of the table must refer to first; computed columns last."""
        query = self.select_unordered()
        if not self.own_parent:
            return query
        levels = self.levels()
        matches = (self.clause.c[name] == levels.c[name] for _, name in self.own_parent)
        return query.join(levels, and_(*matches)).order_by(levels.c.level)

    def select_deferred(self) -> Select[*tuple[Any, ...]]:
        columns = [self.clause.c[name] for name in self.deferred]
        keys = [self.clause.c[name] for name in self.key]
        return select(*keys, *columns).where(or_(*(each.is_not(None) for each in columns)))

    def update_deferred(self) -> Update:
        """Takes parameters by the names of the columns, in the order of `select_deferred`."""
        keys = (self.clause.c[name] == bindparam(f"key_{name}") for name in self.key)
        return (
            update(self.clause)
            .where(*keys)
            .values({name: bindparam(f"new_{name}") for name in self.deferred})
        )

    def checksum(self) -> Checksum:
        return Checksum(each.type for each in self.clause.columns)

    def levels(self) -> Any:
        """How far each row is from one that refers to itself."""
        own, child = self.clause, self.clause.alias("child")
        to_itself = and_(*(own.c[name] == own.c[other] for name, other in self.own_parent))
        names = [other for _, other in self.own_parent]
        first = select(*(own.c[name] for name in names), literal_column("0").label("level"))
        levels = first.where(to_itself).cte("levels", recursive=True)
        below = and_(*(child.c[name] == levels.c[other] for name, other in self.own_parent))
        not_first = not_(
            and_(*(child.c[name] == child.c[other] for name, other in self.own_parent))
        )
        step = select(*(child.c[name] for name in names), levels.c.level + 1)
        return levels.union_all(step.where(below, not_first))


def tables_in_order(metadata: MetaData) -> list[CopiedTable]:
    """Each table after those that it refers to. Raises `DataCopyError` if that cannot be."""
    order: list[CopiedTable] = []
    waiting = sorted(metadata.tables.values(), key=lambda each: each.key)
    deferred: set[ForeignKeyConstraint] = set()
    while waiting:
        blocked = {each: next(references(each, waiting, deferred), None) for each in waiting}
        ready = [each for each, reference in blocked.items() if reference is None]
        if not ready:
            deferred.add(weakest(find_cycle(waiting[0], blocked)))
        order += [build(each, deferred) for each in ready]
        waiting = [each for each in waiting if each not in ready]
    return order


def references(
    each: Table, others: Iterable[Table], deferred: Iterable[ForeignKeyConstraint]
) -> Iterator[ForeignKeyConstraint]:
    """What stands between the table and its turn: references to tables that are not there yet."""
    for constraint in sorted(each.foreign_key_constraints, key=lambda each: str(each.name)):
        other = constraint.referred_table
        if other is not each and other in others and constraint not in deferred:
            yield constraint


def find_cycle(start: Table, blocked: dict[Table, Any]) -> list[ForeignKeyConstraint]:
    path: list[ForeignKeyConstraint] = [blocked[start]]
    while path[-1].referred_table not in (passed := [each.table for each in path]):
        path.append(blocked[path[-1].referred_table])
    return path[passed.index(path[-1].referred_table) :]


def weakest(cycle: list[ForeignKeyConstraint]) -> ForeignKeyConstraint:
    for constraint in cycle:
        if optional(constraint):
            return constraint
    names = ", ".join(str(constraint.name) for constraint in cycle)
    raise DataCopyError(f"No row can come first: a circle of references without NULL, {names}.")


def optional(constraint: ForeignKeyConstraint) -> list[str]:
    """The columns that can be NULL: then the row refers to nothing."""
    return [each.name for each in constraint.columns if each.nullable]


def build(each: Table, deferred: Iterable[ForeignKeyConstraint]) -> CopiedTable:
    own = [
        constraint for constraint in each.foreign_key_constraints if refers_to_itself(constraint)
    ]
    later = [constraint for constraint in (*own, *deferred) if constraint.table is each]
    names = {name for constraint in later for name in optional(constraint)}
    first = [constraint for constraint in own if not optional(constraint)]
    if len(first) > 1:
        both = ", ".join(sorted(str(constraint.name) for constraint in first))
        raise DataCopyError(f"No order of rows of {each.name} is known to satisfy both {both}.")
    if names and not each.primary_key.columns:
        raise DataCopyError(f"{each.name} needs a primary key: it refers to rows that come later.")
    columns = sorted(each.columns, key=lambda one: one.computed is not None)
    return CopiedTable(
        name=each.name,
        clause=table(
            each.name,
            *(column(one.name, exact_type(one.type)) for one in columns),
            schema=each.schema,
        ),
        key=tuple(one.name for one in each.primary_key.columns),
        written=tuple(one.name for one in columns if one.computed is None),
        integers=tuple(one.name for one in columns if isinstance(stored_type(one.type), Integer)),
        deferred=tuple(sorted(names)),
        own_parent=tuple(
            (element.parent.name, element.column.name)
            for constraint in first
            for element in constraint.elements
        ),
    )


def refers_to_itself(constraint: ForeignKeyConstraint) -> bool:
    return constraint.referred_table is constraint.table
