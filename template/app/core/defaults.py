"""The defaults of columns, for rows that are inserted without SQLAlchemy's own insert."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from sqlalchemy import Column, Dialect, Table, inspect

from app.core.models import Base

Row = Mapping[str, Any]
Maker = Callable[["Parameters"], Any]
Completed = tuple[Table, list[str], Iterator[Sequence[Any]]]


class Parameters:
    """What a default that depends on other columns gets from SQLAlchemy."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.current_parameters = values

    def get_current_parameters(self, **_: bool) -> Mapping[str, Any]:
        return self.current_parameters


def add_default(column: Column[Any], values: dict[str, Any]) -> bool:
    """Add the value of the default, and return whether it is not only the database that knows."""
    if column.default is None:
        values[column.key] = None
        return column.server_default is None and not column.primary_key
    maker = maker_of(column)
    if maker is not None:
        values[column.key] = maker(Parameters(values))
    return maker is not None


def complete_rows(model: type[Base], rows: Sequence[Row], dialect: Dialect) -> Completed | None:
    """Return the table, its columns, and the values of each row for them, defaults included.

    Columns whose default only the database knows are left out. Return `None` if a default is SQL,
    or if the table is not the only one of the model.
    """
    mapper = inspect(model)
    table = cast("Table", mapper.local_table)
    given = [column for column in table.columns if column.key in rows[0]]
    columns = [each for each in table.columns if each.key in rows[0] or each.default is not None]
    makers = [
        partial(getitem_of, column.key) if column in given else maker_of(column)
        for column in columns
    ]
    if len(given) < len(rows[0]) or len(mapper.tables) > 1 or None in makers:
        return None
    types = (column.type.dialect_impl(dialect) for column in columns)
    processors = [(index, type_.bind_processor(dialect)) for index, type_ in enumerate(types)]
    records = values_of(rows, cast("list[Maker]", makers), processors)
    return table, [column.key for column in columns], records


def getitem_of(name: str, parameters: Parameters) -> Any:
    return parameters.current_parameters[name]


def constant(value: Any, _: Parameters) -> Any:
    return value


def maker_of(column: Column[Any]) -> Maker | None:
    """Return a function for the default, or `None` if it is SQL."""
    default: Any = column.default
    if default.is_callable:
        return cast("Maker", default.arg)
    return partial(constant, default.arg) if default.is_scalar else None


def values_of(
    rows: Sequence[Row], makers: Sequence[Maker], processors: Sequence[tuple[int, Any]]
) -> Iterator[Sequence[Any]]:
    needed = [(index, process) for index, process in processors if process is not None]
    for row in rows:
        parameters = Parameters(row)
        values = [make(parameters) for make in makers]
        for index, process in needed:
            values[index] = process(values[index])
        yield tuple(values)
