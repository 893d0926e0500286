from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.core.pagination import read_keyset_page, read_page, rows_after
from tests.core.lab import LabBook, LabShelf


async def fill(session: AsyncSession, count: int) -> None:
    books = [LabBook(title=f"Book {number}", price=number % 3) for number in range(count)]
    session.add(LabShelf(name="The shelf", books=books))
    await session.commit()


async def test_a_page_has_its_rows_and_the_total(session: AsyncSession) -> None:
    await fill(session, 7)

    page = await read_page(session, select(LabBook).order_by(LabBook.id), page=2, size=3)

    assert [book.title for book in page.items] == ["Book 3", "Book 4", "Book 5"]
    assert (page.total, page.page, page.size) == (7, 2, 3)


async def test_a_page_behind_the_end_is_empty(session: AsyncSession) -> None:
    await fill(session, 2)

    page = await read_page(session, select(LabBook).order_by(LabBook.id), page=9, size=3)

    assert (list(page.items), page.total) == ([], 2)


async def test_a_page_counts_what_the_query_finds(session: AsyncSession) -> None:
    await fill(session, 7)
    query = select(LabBook).join(LabBook.shelf).where(LabBook.price == 0).order_by(LabBook.id)

    page = await read_page(session, query, selectinload(LabBook.shelf), page=1, size=2)

    assert page.total == 3
    assert {book.shelf.name for book in page.items} == {"The shelf"}


async def test_keyset_pages_hold_each_row_once(session: AsyncSession) -> None:
    await fill(session, 10)
    seen: list[Any] = []
    after = None
    while True:
        query = select(LabBook).order_by(LabBook.id)
        if after is not None:
            query = query.where(rows_after([LabBook.id], [after]))
        page = await read_keyset_page(session, query, key="id", limit=5)
        seen += [book.title for book in page.items]
        after = page.next
        if after is None:
            break

    assert seen == [f"Book {number}" for number in range(10)]


@pytest.mark.parametrize("descending", [False, True])
async def test_rows_after_a_compound_key_are_all_the_rest(
    session: AsyncSession, descending: bool
) -> None:
    await fill(session, 20)
    columns = [LabBook.price, LabBook.id]
    order = [column.desc() if descending else column for column in columns]
    rows = (await session.scalars(select(LabBook).order_by(*order))).all()

    for position, row in enumerate(rows):
        condition = rows_after(columns, [row.price, row.id], descending=descending)
        rest = await session.scalars(select(LabBook).where(condition).order_by(*order))
        assert list(rest) == list(rows[position + 1 :])
