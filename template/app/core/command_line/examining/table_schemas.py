"""The keys and indexes of tables, as the database tells them, beside what the models declare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect

from app.core.models import Base
from app.core.registry import import_models

OPTIONS = ("type", "column_sorting", "expressions")
NOTHING = ("=None", "=False", "=[]", "={}")


@dataclass(frozen=True)
class TableIndex:
    """An index, or a primary key or a unique constraint, which have one."""

    name: str
    columns: tuple[str, ...]  # expressions are empty
    options: str  # its kind, its order and its condition, if it has any
    is_unique: bool
    is_constraint: bool
    is_declared: bool  # in a model
    is_partial: bool  # in a model, though this database may have no such index


@dataclass(frozen=True)
class TableSchema:
    """A table. `foreign_keys` are the columns of each, and the table to which they refer."""

    name: str
    primary_key: tuple[str, ...]
    indexes: Sequence[TableIndex]
    foreign_keys: Sequence[tuple[tuple[str, ...], str]]


def read_tables(connection: Connection) -> Iterator[TableSchema]:
    """Read the tables of the default schema."""
    import_models()
    tables = Base.metadata.tables.values()
    declared = {str(index.name): index.info for table in tables for index in table.indexes}
    inspector = inspect(connection)
    keys = inspector.get_multi_pk_constraint()
    uniques = inspector.get_multi_unique_constraints()
    indexes = inspector.get_multi_indexes()
    foreign_keys = inspector.get_multi_foreign_keys()
    for table in sorted(keys, key=str):
        primary_key: Any = keys[table] or {}
        columns = tuple(primary_key.get("constrained_columns") or ())
        found = [constraint_of(each["name"], each["column_names"]) for each in uniques[table]]
        if columns:
            found.insert(0, constraint_of(primary_key.get("name"), columns))
        names = {each.name for each in found}
        found += [index_of(each, declared) for each in indexes[table] if each["name"] not in names]
        references = [
            (tuple(each["constrained_columns"]), each["referred_table"])
            for each in foreign_keys[table]
        ]
        yield TableSchema(table[1], columns, found, references)


def constraint_of(name: str | None, columns: Sequence[str]) -> TableIndex:
    return TableIndex(
        name=name or "the primary key",
        columns=tuple(columns),
        options="",
        is_unique=True,
        is_constraint=True,
        is_declared=True,
        is_partial=False,
    )


def index_of(found: Any, declared: Mapping[str, Mapping[Any, Any]]) -> TableIndex:
    options = [f"{name}={value}" for name, value in found.get("dialect_options", {}).items()]
    options = [each for each in options if not each.endswith(NOTHING)]
    options += [str(found[name]) for name in OPTIONS if found.get(name)]
    return TableIndex(
        name=found["name"],
        columns=tuple(each or "" for each in found["column_names"]),
        options=", ".join(options),
        is_unique=bool(found.get("unique")),
        is_constraint=False,
        is_declared=found["name"] in declared,
        is_partial="where" in declared.get(found["name"], {}),
    )
