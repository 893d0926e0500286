"""The defaults of columns, for rows that are inserted without SQLAlchemy's unit of work."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Column, Dialect, Table, insert, inspect

from app.core.models import Base, utc_now

Row = Mapping[str, Any]
Columns = dict[str, list[Any]]
Default = Callable[[Sequence[Row]], list[Any] | None]


class Same(list[Any]):
    """The same value for each row, which is converted once."""


class Parameters:
    """What a default that depends on other columns gets from SQLAlchemy."""

    def __init__(self, values: Row) -> None:
        self.current_parameters = values

    def get_current_parameters(self, **_: bool) -> Row:
        return self.current_parameters


def table_of(model: type[Base]) -> Table:
    return cast("Table", inspect(model).local_table)


def complete(model: type[Base], rows: Sequence[Row]) -> Columns | None:
    """Return the values of the rows by column, with defaults, in the order of the table.

    Columns whose default only the database knows are left out. Return `None` if SQLAlchemy must
    insert the rows: a default is SQL, or the model has versions or another table.
    """
    columns: Columns = {}
    for name, default in defaults_of(model).items():
        if name in rows[0]:
            columns[name] = [row[name] for row in rows]
        elif default is not None:
            values = default(rows)
            if values is None:
                return None
            columns[name] = values
    return columns if columns and columns.keys() >= rows[0].keys() else None


@cache
def defaults_of(model: type[Base]) -> dict[str, Default | None]:
    """Return the default of each column, none if SQLAlchemy must insert the rows."""
    mapper = inspect(model)
    if len(mapper.tables) > 1 or mapper.version_id_col is not None:
        return {}
    return {column.key: default_of(column) for column in table_of(model).columns}


def default_of(column: Column[Any]) -> Default | None:
    """Return what computes the values of the rows. It returns `None` if the default is SQL."""
    default: Any = column.default
    if default is None:
        return None
    if default.is_callable and is_now(default.arg):
        return lambda rows: Same([utc_now()] * len(rows))
    if default.is_callable:
        return lambda rows: [default.arg(Parameters(row)) for row in rows]
    return lambda rows: Same([default.arg] * len(rows)) if default.is_scalar else None


def is_now(default: Any) -> bool:
    """Return whether it is `utc_now`: rows that are stored together are equally old."""
    return getattr(default, "__wrapped__", None) is utc_now  # SQLAlchemy adds a parameter


@cache
def insert_sql(model: type[Base], names: tuple[str, ...], dialect: Dialect) -> str:
    return str(insert(table_of(model)).compile(dialect=dialect, column_keys=list(names)))


@cache
def processors_of(model: type[Base], names: tuple[str, ...], dialect: Dialect) -> list[Any]:
    """Return the conversion of each column's values, `None` where there is none."""
    types = [table_of(model).columns[name].type.dialect_impl(dialect) for name in names]
    return [type_.bind_processor(dialect) for type_ in types]


def converted(model: type[Base], columns: Columns, dialect: Dialect) -> Iterator[tuple[Any, ...]]:
    """Return the rows of `columns` as the driver takes them."""
    processors = processors_of(model, tuple(columns), dialect)
    return zip(*map(convert, processors, columns.values()), strict=True)


def convert(process: Callable[[Any], Any] | None, values: list[Any]) -> Iterable[Any]:
    if process is None:
        return values
    if isinstance(values, Same):
        return [process(values[0])] * len(values)
    return map(process, values)
