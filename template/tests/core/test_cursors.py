import base64
import json
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.cursors import CursorQuery, InvalidCursorError, read_cursor_page
from app.core.database import Database
from app.core.schemas import RecordRead
from tests.core.lab import LabBook, LabSample, LabShelf


class BookRead(RecordRead):
    title: str


BOOKS = select(LabBook).where(LabBook.shelf_id == bindparam("shelf_id"))
ORDERS = [
    [price, title, key]
    for price, title, key in product(
        (LabBook.price, LabBook.price.desc()),
        (LabBook.title, LabBook.title.desc()),
        (LabBook.id, LabBook.id.desc()),
    )
]


async def add_shelf(session: AsyncSession, name: str) -> UUID:
    books = [LabBook(title=f"Book {each % 4}", price=each % 3) for each in range(20)]
    shelf = LabShelf(name=name, books=books)
    session.add(shelf)
    await session.commit()
    return shelf.id


async def read_all_pages(
    session: AsyncSession, query: CursorQuery, limit: int, **values: Any
) -> list[UUID]:
    found: list[UUID] = []
    after = None
    while True:
        page = await read_cursor_page(session, query, BookRead, after=after, limit=limit, **values)
        assert 1 <= len(page.items) <= limit
        found += [book.id for book in page.items]
        if page.next is None:
            return found
        assert len(page.items) == limit
        after = page.next


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: ", ".join(map(str, order)))
@pytest.mark.parametrize("limit", [1, 5, 7, 20, 21])
async def test_pages_hold_each_row_once_in_the_order_of_the_list(
    session: AsyncSession, database: Database, order: list[Any], limit: int
) -> None:
    shelf_id = await add_shelf(session, "The shelf")
    await add_shelf(session, "Another shelf")
    query = CursorQuery(BOOKS, *order)
    expected = (await session.scalars(BOOKS.order_by(*order), {"shelf_id": shelf_id})).all()

    with_records = await read_all_pages(session, query, limit, shelf_id=shelf_id)
    async with database.read() as reading:
        without = await read_all_pages(reading, query, limit, shelf_id=shelf_id)

    assert with_records == without == [book.id for book in expected]


async def test_an_empty_list_is_an_empty_last_page(session: AsyncSession) -> None:
    query = CursorQuery(select(LabBook), LabBook.id)

    page = await read_cursor_page(session, query, BookRead, after=None, limit=5)

    assert (list(page.items), page.next) == ([], None)


SAMPLES = CursorQuery(
    select(LabSample), LabSample.created_at.desc(), LabSample.name, LabSample.count, LabSample.id
)


async def read_after(session: AsyncSession, *values: Any) -> list[str]:
    cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
    page = await read_cursor_page(session, SAMPLES, SampleRead, after=cursor, limit=5)
    return [sample.name for sample in page.items]


class SampleRead(RecordRead):
    name: str


NOW = "2026-01-02T03:04:05+00:00"
ID = str(UUID(int=1))


async def test_a_cursor_keeps_instants_texts_and_numbers(session: AsyncSession) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    names = ["A 100 % é", "B 'quoted'", "C \U0001f600"]
    session.add_all(LabSample(name=name, created_at=at) for name in reversed(names))
    await session.commit()
    found: list[str] = []
    after = None
    for _ in names:
        page = await read_cursor_page(session, SAMPLES, SampleRead, after=after, limit=1)
        found += [sample.name for sample in page.items]
        after = page.next

    assert found == names
    assert after is None


@pytest.mark.parametrize(
    "values",
    [
        [],
        [NOW, "name", 1],
        [NOW, "name", 1, ID, ID],
        [NOW[:-6], "name", 1, ID],
        ["0001-01-01T00:00:00+23:59", "name", 1, ID],
        [1e300, "name", 1, ID],
        [NOW, "s3cret\x00", 1, ID],
        [NOW, "s3cret\ud800", 1, ID],
        [NOW, 1, 1, ID],
        [NOW, "name", True, ID],
        [NOW, "name", 1.5, ID],
        [NOW, "name", 2**63, ID],
        [NOW, "name", 10**400, ID],
        [NOW, "name", 1, "s3cret"],
        [NOW, "name", 1, None],
        [NOW, None, 1, ID],
        [[[[]]], "name", 1, ID],
    ],
    ids=repr,
)
async def test_a_changed_cursor_is_invalid(session: AsyncSession, values: list[Any]) -> None:
    with pytest.raises(InvalidCursorError, match=r"^The cursor is not one of this list\.$"):
        await read_after(session, *values)


@pytest.mark.parametrize(
    "cursor",
    ["", "s3cret", "é", "\x00", "====", "bnVsbA", "e30", "W1tb" * 400, "-_-_", "/+/+", "A"],
)
async def test_a_cursor_of_anything_else_is_invalid(session: AsyncSession, cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        await read_cursor_page(session, SAMPLES, SampleRead, after=cursor, limit=5)


@pytest.mark.parametrize(
    "values",
    [
        [NOW, "s3cret' OR 1=1 --", 1, ID],
        [NOW, "x" * 1000, 1, ID],
        [NOW, "", -(2**63), ID],
        [NOW, "name", 2**63 - 1, ID],
        ["0001-01-01T00:00:00Z", "name", 1, ID],
        ["9999-12-31T23:59:59.999999Z", "name", 1, ID],
        [0, "name", 1, ID],
    ],
    ids=repr,
)
async def test_a_cursor_of_other_values_is_another_place_or_is_refused(
    session: AsyncSession, values: list[Any]
) -> None:
    session.add(LabSample(name="The only one"))
    await session.commit()
    try:
        assert set(await read_after(session, *values)) <= {"The only one"}
    except DBAPIError as error:
        failure = driver.failure_of(error)
        assert failure is not None
        assert failure.status == 422


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([LabBook.price], "needs the primary key"),
        ([], "needs the primary key"),
        ([LabBook.read_at, LabBook.id], "not nullable"),
        ([func.lower(LabBook.title), LabBook.id], "not nullable"),
    ],
    ids=["no key", "nothing", "nullable", "expression"],
)
def test_an_order_that_could_leave_rows_out_is_refused(order: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CursorQuery(select(LabBook), *order)
