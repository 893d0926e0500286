"""Find the models of all domains, and what a constraint of theirs is about."""

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from sqlalchemy import CheckConstraint, Table

from app import domains
from app.core.models import Base


def import_models() -> None:
    """Import each domain's `models.py`. Alembic would drop tables whose models are missing."""
    for domain in iter_modules(domains.__path__, "app.domains."):
        if find_spec(f"{domain.name}.models") is not None:
            import_module(f"{domain.name}.models")


def fields_of(details: Mapping[str, str]) -> list[str]:
    """Return the columns that an error of the database is about, from `driver.details_of`.

    They are those of the column or constraint that the database names. Some name none.
    """
    names = details.get("column", "").split(", ")
    mapped: list[Any] = [mapper.local_table for mapper in Base.registry.mappers]
    for table in {*Base.metadata.tables.values(), *mapped}:
        for constraint in (*table.constraints, *table.indexes):
            if constraint.name is not None and constraint.name == details.get("constraint"):
                names += columns_of(constraint, table)
    hidden = {"", "is_live"}  # the part of a unique key that soft deletion adds
    return [name for name in dict.fromkeys(names) if name not in hidden]


def columns_of(constraint: Any, table: Table) -> list[str]:
    if isinstance(constraint, CheckConstraint):
        words = re.findall(r"\w+", str(constraint.sqltext))
        return [column.name for column in table.columns if column.name in words]
    return [column.name for column in constraint.columns]
