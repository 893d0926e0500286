"""Numbered pages with a total, for people, and keyset pages, for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, and_, bindparam, func, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.interfaces import ORMOption

from app.core.reads import S, once_for_each_query, read_records, validate_list

T = TypeVar("T")

FIRST_ID = UUID(int=0)  # before all others

# OFFSET reads all rows before the page. Beyond this limit, use keyset pages.
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
PageSize = Annotated[int, Query(ge=1, le=100)]
Limit = Annotated[int, Query(ge=1, le=100)]


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of records, and the total number of records."""

    items: Sequence[T]
    total: int
    page: int
    size: int


@dataclass(frozen=True)
class KeysetPage(Generic[T]):
    """Records after a key, and the key of the next page, which is `None` on the last page."""

    items: Sequence[T]
    next: UUID | None


class PageRead(BaseModel, Generic[T]):
    """A `Page` as a response."""

    items: list[T]
    total: int
    page: int
    size: int


class KeysetPageRead(BaseModel, Generic[T]):
    """A `KeysetPage` as a response. Pass `next` as `after` to get the next page."""

    items: list[T]
    next: UUID | None


async def read_page(
    session: AsyncSession,
    query: Select[T],
    *options: ORMOption,
    page: int,
    size: int,
) -> Page[T]:
    """Read one page of an ordered query. The count ignores the loader `options`."""
    total = await session.scalar(count_rows(query)) or 0
    rows = query.options(*options).limit(size).offset((page - 1) * size)
    return Page((await session.scalars(rows)).unique().all(), total, page, size)


def count_rows(query: Select[Any]) -> Select[int]:
    keys = inspect(query.column_descriptions[0]["entity"]).primary_key
    counted = query.with_only_columns(*keys, maintain_column_froms=True).order_by(None).subquery()
    return select(func.count()).select_from(counted)


@once_for_each_query
def with_total(query: Select[Any]) -> Select[Any]:
    total = count_rows(query).scalar_subquery().label("page_total")
    return query.limit(bindparam("page_size")).offset(bindparam("page_offset")).add_columns(total)


async def read_page_of(
    session: AsyncSession,
    query: Select[Any],
    schema: type[S],
    *,
    page: int,
    size: int,
    **values: Any,
) -> Page[S]:
    """Read one page of an ordered query as schemas. The page and the total are one statement."""
    limits = {"page_size": size, "page_offset": (page - 1) * size}
    records = await read_records(session, with_total(query), schema, values | limits)
    if records or page == 1:
        total = records[0]["page_total"] if records else 0
    else:
        total = await session.scalar(count_rows(query), values) or 0
    return Page(validate_list(schema, records), total, page, size)


async def read_keyset_page(
    session: AsyncSession, query: Select[T], *, key: str, limit: int
) -> KeysetPage[T]:
    """Read `limit` rows of an ordered query, and one more to detect the next page."""
    rows = (await session.scalars(query.limit(limit + 1))).all()
    return keyset_page(rows, key=key, limit=limit)


def keyset_page(rows: Sequence[T], *, key: str, limit: int) -> KeysetPage[T]:
    """Return the page of the first `limit` rows. One more than that shows that there is a next."""
    more = len(rows) > limit
    return KeysetPage(rows[:limit], getattr(rows[limit - 1], key) if more else None)


def rows_after(
    columns: Sequence[Any], values: Sequence[Any], *, descending: bool = False
) -> ColumnElement[bool]:
    """Return the condition for rows after `values` in the order of `columns`, which are not NULL.

    The bound on the first column is repeated, so that every database uses a range of the index.
    For a comparison of tuples, some databases scan the whole index.
    """
    places = [(column, values[number], descending) for number, column in enumerate(columns)]
    return beyond(places)


def beyond(places: Sequence[tuple[Any, Any, bool]]) -> ColumnElement[bool]:
    """Return the condition of `rows_after` for columns that may differ in their direction.

    Each place is a column, its value and whether its order is descending.
    """
    (column, value, descending), *others = places
    is_beyond: ColumnElement[bool] = column < value if descending else column > value
    if not others:
        return is_beyond
    at_least = column <= value if descending else column >= value
    return and_(at_least, or_(is_beyond, and_(column == value, beyond(others))))
