"""Checks of tables and indexes, by what every database tells of them."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.examining.findings import Finding, Severity
from app.core.command_line.examining.health_checks import CREATE_INDEX, DROP_INDEX
from app.core.command_line.examining.table_schemas import TableIndex, TableSchema, read_tables

Quote = Callable[[str], str]


async def check_tables(connection: AsyncConnection) -> list[Finding]:
    """Find missing primary keys, foreign keys without an index, and duplicate indexes."""
    tables = await connection.run_sync(lambda sync: list(read_tables(sync)))
    quote = connection.dialect.identifier_preparer.quote
    found: list[Finding] = []
    for table in tables:
        if not table.primary_key:
            found.append(missing_primary_key(table))
        found += foreign_keys_without_index(table, quote)
        found += duplicate_indexes(table, quote)
    return found


def missing_primary_key(table: TableSchema) -> Finding:
    return Finding(
        "table-without-primary-key",
        Severity.WARNING,
        f"{table.name} has no primary key.",
        "A row cannot be addressed: models, replication and tools need that.",
        f"Derive the model of {table.name} from `Record` in app/core/models.py, then:"
        f' uv run app db revision -m "key of {table.name}"',
    )


def foreign_keys_without_index(table: TableSchema, quote: Quote) -> Iterator[Finding]:
    for columns, target in table.foreign_keys:
        if any(begins_with(index, columns) for index in table.indexes):
            continue
        name = "_".join(("ix", table.name, *columns))
        statement = CREATE_INDEX.format(
            name=quote(name), table=quote(table.name), columns=", ".join(map(quote, columns))
        )
        yield Finding(
            "foreign-key-without-index",
            Severity.WARNING,
            f"{table.name} ({', '.join(columns)}) refers to {target}.",
            "To delete a row of the other table, the database reads all of this one.",
            f"{statement}\n{model_line(table.name, name, columns)}",
        )


def begins_with(index: TableIndex, columns: Sequence[str]) -> bool:
    """Whether the index has all rows, and finds them by these columns."""
    return not index.options and set(index.columns[: len(columns)]) == set(columns)


def model_line(table: str, name: str, columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return f"In the model of {table}: {columns[0]} … = mapped_column(…, index=True)"
    names = ", ".join(f'"{each}"' for each in (name, *columns))
    return f"In the model of {table}: __table_args__ = (Index({names}),)"


def duplicate_indexes(table: TableSchema, quote: Quote) -> Iterator[Finding]:
    for index in table.indexes:
        covering = [each for each in table.indexes if covers(each, index)]
        if index.is_constraint or index.is_partial or not covering:
            continue
        is_equal = any(each.columns == index.columns for each in covering)
        mend = DROP_INDEX.format(name=quote(index.name), table=quote(table.name))
        if index.is_declared:
            mend += f"\nRemove {index.name} from the model of {table.name}."
        yield Finding(
            "duplicate-index",
            Severity.WARNING if is_equal else Severity.HINT,
            f"{table.name}: {covering[0].name} finds all that {index.name} does.",
            "Each write of the table maintains both, and both take space.",
            mend,
        )


def covers(index: TableIndex, other: TableIndex) -> bool:
    """Whether the index makes the other one superfluous. Of two equal ones, one does."""
    if index is other or "" in other.columns or index.options != other.options:
        return False
    if index.columns[: len(other.columns)] != other.columns:
        return False
    if other.is_unique and not (index.is_unique and index.columns == other.columns):
        return False
    return index.columns != other.columns or rank(index) < rank(other)


def rank(index: TableIndex) -> tuple[bool, bool, bool, str]:
    """Of two equal indexes, that with the lower rank is kept."""
    return not index.is_constraint, not index.is_unique, not index.is_declared, index.name
