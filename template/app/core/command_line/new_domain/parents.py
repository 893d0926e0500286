"""Tables to which a new domain may refer, and how its tests make rows of them."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Enum, Table, UniqueConstraint, Uuid, inspect

from app.core.command_line.new_domain.names import UnusableError
from app.core.models import Base
from app.core.registry import import_models
from app.core.repository import Repository
from app.core.soft_delete import SoftDelete

# Values of required columns, by the type of the column in Python.
VALUES = {
    "Decimal": "Decimal(1)",
    "UUID": "uuid4()",
    "bool": "False",
    "bytes": 'b"1"',
    "date": "date(2026, 1, 31)",
    "datetime": "utc_now()",
    "dict": "{}",
    "float": "1.0",
    "int": "1",
}


@dataclass(frozen=True)
class Factory:
    """An asynchronous function of the tests that stores a record: `create_user(session)`.

    `module` is where it is, or empty if it is to be written with these `arguments`.
    """

    name: str
    model: str
    models: str
    module: str = ""
    arguments: tuple[str, ...] = ()
    needs: tuple["Factory", ...] = ()
    enums: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Parent:
    table: str
    factory: Factory
    repository: tuple[str, str] | None  # its module and its name
    is_soft_deleted: bool


def models_by_table() -> dict[str, type[Any]]:
    """Return the models of all domains to which others can refer."""
    import_models()
    found = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    return {
        table.name: model
        for table, model in found.items()
        if isinstance(table, Table) and [*table.primary_key] == [table.columns.get("id")]
    }


class Parents:
    """The models to which a domain can refer, by their tables. `tests` has their factories."""

    def __init__(self, models: Mapping[str, type[Any]], tests: Path) -> None:
        self.models = models
        self.tests = tests

    def find(self, table: str) -> Parent:
        """Return what a reference to the table needs, or raise `UnusableError`."""
        model = self.models[table]
        if not isinstance(inspect(model).local_table.columns["id"].type, Uuid):
            raise UnusableError(f"{table!r} has no UUID as its id: write that reference by hand.")
        is_soft_deleted = issubclass(model, SoftDelete)
        return Parent(table, self.factory_of(model), repository_of(model), is_soft_deleted)

    def factory_of(self, model: type[Any], above: tuple[type[Any], ...] = ()) -> Factory:
        """Return the factory that the tests have, or a new one with what each column needs.

        Raise `UnusableError` if there is none, and a value is not known.
        """
        if existing := find_factory(model, self.tests):
            return existing
        if model in above:
            raise UnusableError(
                f"The table {model.__tablename__} refers to itself. Write a function"
                f" create_{snake_case(model.__name__)}(session) into the factories.py of its tests."
            )
        arguments, needs, enums = [], [], []
        for attribute, column in required_columns(model):
            if column.foreign_keys:
                table = next(iter(column.foreign_keys)).column.table.name
                if table not in self.models:
                    raise UnusableError(f"{column} refers to {table}, which has no model.")
                needs.append(self.factory_of(self.models[table], (*above, model)))
                value = f"(await {needs[-1].name}(session)).id"
            elif isinstance(column.type, Enum) and column.type.enum_class is not None:
                enum = column.type.enum_class
                enums.append((enum.__module__, enum.__name__))
                value = f"{enum.__name__}.{next(iter(enum)).name}"
            else:
                value = value_of(column)
            arguments.append(f"{attribute}={value}")
        name = f"create_{snake_case(model.__name__)}"
        return Factory(
            name,
            model.__name__,
            model.__module__,
            arguments=tuple(arguments),
            needs=tuple(needs),
            enums=tuple(enums),
        )


def find_factory(model: type[Any], tests: Path) -> Factory | None:
    """Return the factory that the tests of the model's domain have, if it needs a session only."""
    name = f"create_{snake_case(model.__name__)}"
    _, _, domain, *_ = [*model.__module__.split("."), "", ""]
    file = tests / "domains" / domain / "factories.py"
    if not file.is_file():
        return None
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == name:
            arguments = node.args
            required = len(arguments.args) - len(arguments.defaults)
            if required == 1 and None not in arguments.kw_defaults:
                module = f"tests.domains.{domain}.factories"
                return Factory(name, model.__name__, model.__module__, module)
    return None


def required_columns(model: type[Any]) -> Iterator[tuple[str, Column[Any]]]:
    for attribute in inspect(model).column_attrs:
        column = attribute.columns[0]
        has_default = column.default is not None or column.server_default is not None
        if not (column.nullable or has_default or column.primary_key):
            yield attribute.key, column


def value_of(column: Column[Any]) -> str:
    """Return a value as Python writes it."""
    name = column.type.python_type.__name__
    if name == "str":
        label = column.name.replace("_", " ").capitalize()
        text = f'f"{label} {{next(NUMBERS)}}"' if is_unique(column) else f'"{label}"'
        is_short = (getattr(column.type, "length", None) or 255) < len(label) + 10
        return "str(next(NUMBERS))" if is_short else text
    if name == "int" and is_unique(column):
        return "next(NUMBERS)"
    if name not in VALUES:
        raise UnusableError(
            f"No value is known for {column}. Write a factory of that table into its tests."
        )
    return VALUES[name]


def is_unique(column: Column[Any]) -> bool:
    table: Any = column.table
    constraints = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    indexes = [each for each in table.indexes if each.unique]
    return any(column in [*each.columns] for each in (*constraints, *indexes))


def repository_of(model: type[Any]) -> tuple[str, str] | None:
    """Return the module and the name of the repository of a model, if there is one."""
    name = model.__module__.rpartition(".")[0] + ".repository"
    if find_spec(name) is None:
        return None
    for each in vars(import_module(name)).values():
        is_repository = isinstance(each, type) and issubclass(each, Repository)
        if is_repository and each.__module__ == name and vars(each).get("model") is model:
            return name, each.__name__
    return None


def snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
