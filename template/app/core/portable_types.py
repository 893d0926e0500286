"""Portable types, defaults and conditions for those that a downgrade reads from the database."""

import re
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

from alembic.operations import ops
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    DefaultClause,
    Dialect,
    Double,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    Uuid,
    false,
    text,
    true,
)
from sqlalchemy.types import NullType, TypeEngine

from app.core.autogenerate import CAST, TEXT

# The first one that the database creates in the same way is taken.
PORTABLE: tuple[TypeEngine[Any], ...] = (
    Uuid(),
    DateTime(timezone=True),
    DateTime(),
    Boolean(),
    BigInteger(),
    Integer(),
    SmallInteger(),
    Double(),
    Float(),
    Date(),
    Time(),
    JSON(),
    LargeBinary(),
    Text(),
)
# How servers write `name IN ('a', 'b')`, with the casts left out, and what they add to it.
ANY = re.compile(r"\(?(\w+)\)? = ANY \(\(?ARRAY\[(.*?)\]\)?\)")
QUOTED_NAME = re.compile("`([a-z_]+)`")
CHARACTER_SET = re.compile(r"\b_utf8mb4$")
BOOLEANS = {"true": true(), "1": true(), "false": false(), "0": false()}


def flatten(operations: Iterable[Any]) -> Iterator[Any]:
    for each in operations:
        if isinstance(each, ops.ModifyTableOps):
            yield from flatten(each.ops)
        else:
            yield each


def created_columns(operations: Iterable[Any]) -> Iterator[Column[Any]]:
    """Return the columns that the operations create."""
    for each in flatten(operations):
        if isinstance(each, ops.CreateTableOp):
            yield from (item for item in each.columns if isinstance(item, Column))
        elif isinstance(each, ops.AddColumnOp):
            yield each.column


def use_portable_types(
    operations: Iterable[Any], dialect: Dialect, *, existing: bool = False
) -> None:
    """Replace what was read from the database: types, defaults and conditions.

    In a downgrade that is all, in an upgrade only what is there before (`existing`).
    """
    operations = list(flatten(operations))
    for each in operations:
        if isinstance(each, ops.AlterColumnOp):
            change_column(each, dialect, existing=existing)
    if existing:
        return
    for column in created_columns(operations):
        column.type = portable(column.type, dialect)
        column.server_default = portable_default(column.server_default, column.type)
    for each in operations:
        if isinstance(each, ops.CreateCheckConstraintOp):
            each.condition = text(portable_condition(each.condition, dialect))
        elif isinstance(each, ops.CreateTableOp):
            for item in each.columns:
                if isinstance(item, CheckConstraint):
                    item.sqltext = text(portable_condition(item.sqltext, dialect))


def change_column(change: ops.AlterColumnOp, dialect: Dialect, *, existing: bool) -> None:
    before, default = portable(change.existing_type, dialect), change.existing_server_default
    change.existing_type = before
    change.existing_server_default = portable_default(default, before)
    if not existing:
        after, default = portable(change.modify_type, dialect), change.modify_server_default
        change.modify_type = after
        change.modify_server_default = portable_default(default, after or before)


def portable_condition(condition: Any, dialect: Dialect) -> str:
    """Return the condition without the casts and quotes that servers add."""
    reserved = dialect.identifier_preparer.reserved_words

    def unquote(name: re.Match[str]) -> str:
        return name[0] if name[1] in reserved else name[1]

    parts = TEXT.split(str(condition))
    parts[::2] = [QUOTED_NAME.sub(unquote, CHARACTER_SET.sub("", part)) for part in parts[::2]]
    return ANY.sub(r"\1 IN (\2)", without_casts("".join(parts))).replace(":", r"\:")


def without_casts(expression: str) -> str:
    parts = TEXT.split(expression)
    parts[::2] = [CAST.sub("", part) for part in parts[::2]]  # the others are texts
    return "".join(parts)


def portable(found: Any, dialect: Dialect) -> Any:
    """Return SQLAlchemy's own type that the database creates like this one, if there is one."""
    if found is None or isinstance(found, NullType):
        return found
    if str(getattr(found, "collation", "")).endswith("_bin"):
        found = copy(found)  # some servers repeat the collation of the table, which compares bytes
        found.collation = found.charset = None
    candidates = [*PORTABLE]
    if isinstance(found, String) and found.length:
        candidates.append(String(found.length))
    written = found.compile(dialect)
    for each in candidates:
        if each.compile(dialect) == written:
            return each
    if not isinstance(found, Integer | Numeric) or getattr(found, "unsigned", False):
        return found
    # A number may have a width of display, which is 1 if it stands for a Boolean.
    return Boolean() if getattr(found, "display_width", None) == 1 else found.as_generic()


def portable_default(default: Any, type: Any) -> Any:
    """Return the default without casts, and that of a Boolean as one."""
    if not isinstance(default, DefaultClause):
        return default
    written = str(default.arg)
    plain = without_casts(written)
    if isinstance(type, Boolean) and (truth := BOOLEANS.get(plain.strip("'").lower())) is not None:
        return DefaultClause(truth)
    return default if plain == written else DefaultClause(text(plain.replace(":", r"\:")))
