"""Indexes that are proposed: which columns, and the code for the model and the revision."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from app.core.command_line.analyzing.queries import Condition, Query
from app.core.models import Base

NOT_INDEXED = (Text, JSON, LargeBinary)
LONGEST_NAME = 63  # the least that a supported database allows


@dataclass(frozen=True)
class Proposal:
    table: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        name = f"ix_{self.table}_{'_'.join(self.columns)}"
        if len(name) <= LONGEST_NAME:
            return name
        ending = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: LONGEST_NAME - 9]}_{ending}"

    def begins_with(self, other: "Proposal") -> bool:
        return self.table == other.table and self.columns[: len(other.columns)] == other.columns

    @property
    def model_code(self) -> str:
        """For `__table_args__` of the model, or for the arguments of its `Table`."""
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return f'Index("{self.name}", {columns})'

    @property
    def revision_code(self) -> str:
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return f'op.create_index("{self.name}", "{self.table}", [{columns}])'

    @property
    def place(self) -> str:
        """Where the code of the model stands."""
        for mapper in Base.registry.mappers:
            if getattr(mapper.local_table, "name", None) == self.table:
                module = mapper.class_.__module__
                return f"{mapper.class_.__name__} in {module.replace('.', '/')}.py"
        return f"the table {self.table}"


def propose(query: Query, table: Table, before: Collection[str] = ()) -> Proposal | None:
    """Return the index by which the statement finds its rows of the table, in its order.

    First come columns that are equal to something, then the order, or else one range. The tables
    `before` are read first: a column that is equal to one of theirs has a value.
    """
    own = [each for each in query.conditions if each.table == table.name]
    equal = equal_columns(own, query, before)
    lists = [each.column for each in own if each.operator == "IN"]
    order = [column for _, column in query.order_by]
    if lists or any(name != table.name for name, _ in query.order_by):
        order = []  # a list of values has no order
    if order and not equal:
        equal = [each.column for each in own if each.operator == "NULL"]
    ranges = [each.column for each in own if each.operator == "range"]
    columns = tuple(dict.fromkeys([*equal, *lists, *(order or ranges[:1])]))
    if not columns or not all(is_indexable(table, column) for column in columns):
        return None
    if all(isinstance(table.columns[column].type, Boolean) for column in columns):
        return None  # one of two values is no selection
    return None if is_indexed(table, columns) else Proposal(table.name, columns)


def equal_columns(own: Sequence[Condition], query: Query, before: Collection[str]) -> list[str]:
    """Return columns that are equal to a value, or else to a column of a table that is read first.

    A column of a table whose rows are selected themselves counts always.
    """
    selected = {each.table for each in query.conditions if each.other is None and is_equal(each)}
    equal = [each for each in own if each.operator == "="]
    found = [each.column for each in equal if each.other is None or each.other in selected]
    return found or [each.column for each in equal if each.other in before]


def is_equal(condition: Condition) -> bool:
    return condition.operator in {"=", "IN"}


def is_indexable(table: Table, column: str) -> bool:
    found: Any = table.columns[column].type
    return not isinstance(found, NOT_INDEXED)


def is_indexed(table: Table, columns: Sequence[str]) -> bool:
    """Return whether an index begins with these columns."""
    return any(each[: len(columns)] == list(columns) for each in indexed_columns(table))


def indexed_columns(table: Table) -> list[list[str]]:
    found: list[PrimaryKeyConstraint | UniqueConstraint | Index] = [table.primary_key]
    found += [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    found += [each for each in table.indexes if is_of_all_rows(each)]
    return [[column.name for column in each.columns] for each in found]


def is_of_all_rows(index: Index) -> bool:
    options = index.dialect_kwargs.items()
    return not any(name.endswith("_where") and value is not None for name, value in options)


def unindexed_foreign_keys(table: Table) -> list[Proposal]:
    """Return an index for each foreign key that has none: a deletion reads the whole table."""
    keys = sorted(
        tuple(each.parent.name for each in key.elements) for key in table.foreign_key_constraints
    )
    return [Proposal(table.name, columns) for columns in keys if not is_indexed(table, columns)]


def supports_reference(index: Index, table: Table) -> bool:
    """Return whether the index begins with the columns of a foreign key."""
    columns = [column.name for column in index.columns]
    keys = [[each.parent.name for each in key.elements] for key in table.foreign_key_constraints]
    return any(columns[: len(key)] == key for key in keys)
