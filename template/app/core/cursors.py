"""Pages of a list in any order, with an opaque cursor for the next page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter
from pydantic_core import to_json
from sqlalchemy import Column, Select, UnaryExpression, bindparam, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import desc_op

from app.core.errors import InvalidError
from app.core.pagination import beyond
from app.core.reads import S, read_records, validate_list
from app.core.schemas import Instant, refuse_unstorable

T = TypeVar("T")

# What a client sends: the `next` of the page before.
Cursor = Annotated[str, Query(max_length=2000)]

# Values that the Python type allows, and not every database does.
BOUNDED: dict[type, Any] = {
    datetime: Instant,
    Decimal: Annotated[Decimal, Field(max_digits=40)],
    int: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)],
    str: Annotated[str, AfterValidator(refuse_unstorable)],
}


class InvalidCursorError(InvalidError):
    """The cursor is not one that this list has returned."""


@dataclass(frozen=True)
class CursorPage(Generic[T]):
    """Rows of a list, and the cursor of the next page, which is `None` on the last page."""

    items: Sequence[T]
    next: str | None


class CursorPageRead(BaseModel, Generic[T]):
    """A `CursorPage` as a response. Pass `next` as `after` to get the next page."""

    items: list[T]
    next: str | None


class CursorQuery:
    """A query with an order: `CursorQuery(select(Order), Order.created_at.desc(), Order.id)`.

    The order has the primary key, so that no two rows have the same place, and no column of it is
    nullable: otherwise raise `ValueError`. Keep the query in a constant. An index of the same
    columns keeps deep pages fast.
    """

    def __init__(self, query: Select[Any], *order: Any) -> None:
        expressions = [each.element if is_unary(each) else each for each in order]
        columns = [each.expression for each in expressions]
        keys = inspect(query.column_descriptions[0]["entity"]).primary_key
        if not all(isinstance(each, Column) and not each.nullable for each in columns):
            raise ValueError("The order of a CursorQuery needs columns that are not nullable.")
        if not {each.name for each in keys} <= {each.name for each in columns}:
            raise ValueError("The order of a CursorQuery needs the primary key.")
        self.length = len(columns)
        types = (inner_type(each).python_type for each in columns)
        checked = tuple(BOUNDED.get(each, each) for each in types)
        shape: Any = tuple.__class_getitem__(checked)
        self.values: TypeAdapter[Any] = TypeAdapter(shape)
        labels = [each.label(f"cursor_{number}") for number, each in enumerate(expressions)]
        self.first = query.add_columns(*labels).order_by(*order).limit(bindparam("cursor_limit"))
        values = [
            bindparam(f"after_{number}", type_=each.type) for number, each in enumerate(columns)
        ]
        descending = [is_unary(each) and each.modifier is desc_op for each in order]
        self.next = self.first.where(beyond([*zip(columns, values, descending, strict=True)]))

    def read_cursor(self, cursor: str) -> dict[str, Any]:
        """Return the values of the cursor by name, or raise `InvalidCursorError`."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            values = self.values.validate_json(base64.urlsafe_b64decode(padded))
        except ValueError:
            raise InvalidCursorError("The cursor is not one of this list.") from None
        return {f"after_{number}": value for number, value in enumerate(values)}

    def cursor_of(self, record: dict[str, Any]) -> str:
        values = [record[f"cursor_{number}"] for number in range(self.length)]
        return base64.urlsafe_b64encode(to_json(values)).rstrip(b"=").decode()


def inner_type(column: Column[Any]) -> Any:
    return getattr(column.type, "impl_instance", column.type)


def is_unary(expression: Any) -> bool:
    return isinstance(expression, UnaryExpression)


async def read_cursor_page(
    session: AsyncSession,
    query: CursorQuery,
    schema: type[S],
    *,
    after: str | None,
    limit: int,
    **values: Any,
) -> CursorPage[S]:
    """Read the rows after the cursor, or the first ones, as schemas.

    `values` are those of the query's `bindparam`s. Raise `InvalidCursorError` for a cursor that
    is not one of this list.
    """
    values["cursor_limit"] = limit + 1  # one more shows that there is a next page
    if after is not None:
        values |= query.read_cursor(after)
    statement = query.first if after is None else query.next
    records = await read_records(session, statement, schema, values)
    more = len(records) > limit
    following = query.cursor_of(records[limit - 1]) if more else None
    return CursorPage(validate_list(schema, records[:limit]), following)
