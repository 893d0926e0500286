from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core.command_line.seeding import (
    SeedingError,
    chunks_stored,
    count_records,
    load_seed,
    make_rows,
    seed_database,
)
from app.core.commands import command_line
from app.core.database import Database
from app.core.seeds import Rows, Seed, SeedContext
from app.core.settings import CoreSettings
from tests.core.lab import LabBook, LabShelf


def shelf_rows(context: SeedContext) -> Rows:
    shelf = {"id": context.next_id(), "name": f"Shelf {context.number} {context.random.random()}"}
    yield LabShelf, {**shelf, "created_at": context.created_at}


def book_rows(context: SeedContext) -> Rows:
    yield (
        LabBook,
        {
            "id": context.next_id(),
            "title": f"Book {context.number}",
            "shelf_id": context.earlier("shelves"),
            "created_at": context.created_at,
        },
    )


SEEDS = {
    "shelves": Seed(models=(LabShelf,), rows=shelf_rows, count=20),
    "books": Seed(models=(LabBook,), rows=book_rows, count=3, per="shelves"),
}


def made(domain: str, count: int, seed: int = 1) -> list[dict[str, Any]]:
    context = SeedContext(seed, domain, SEEDS, count_records(SEEDS, {}))
    ((_, rows),) = make_rows(context, SEEDS[domain], range(count)).items()
    return rows


async def fill(settings: CoreSettings, *, resume: bool = False, **given: int) -> dict[str, int]:
    counts = count_records(SEEDS, given)
    return await seed_database(
        settings, SEEDS, counts, seed=1, resume=resume, bar=lambda *_: nullcontext(print)
    )


def test_domains_get_records_in_proportion() -> None:
    assert count_records(SEEDS, {}) == {"shelves": 20, "books": 60}
    assert count_records(SEEDS, {"shelves": 5}) == {"shelves": 5, "books": 15}
    assert count_records(SEEDS, {"books": 5}) == {"shelves": 20, "books": 5}
    with pytest.raises(SeedingError, match="books need shelves: --shelves must be at least 1"):
        count_records(SEEDS, {"shelves": 0, "books": 5})


def test_the_same_seed_makes_the_same_rows_however_many_there_are() -> None:
    assert made("books", 50) == made("books", 50) == made("books", 60)[:50]
    assert made("shelves", 20) != made("shelves", 20, seed=2)


def test_ids_are_in_the_order_of_creation() -> None:
    ids = [row["id"] for row in made("shelves", 20)]

    assert ids == sorted(set(ids))
    assert {each.version for each in ids} == {7}


def test_a_record_is_created_after_those_to_which_it_refers() -> None:
    created = {row["id"]: row["created_at"] for row in made("shelves", 20)}

    assert all(created[row["shelf_id"]] <= row["created_at"] for row in made("books", 60))


async def test_the_tables_are_filled(
    database: Database, session: AsyncSession, settings: CoreSettings
) -> None:
    assert await fill(settings) == {"lab_shelves": 20, "lab_books": 60}

    assert await session.scalar(select(func.count(LabShelf.id))) == 20
    shelves = (await session.scalars(select(LabBook.shelf_id).distinct())).all()
    assert len(shelves) > 5


async def test_tables_with_rows_are_refused(database: Database, settings: CoreSettings) -> None:
    await fill(settings)

    with pytest.raises(SeedingError, match=r"table lab_shelves has rows. With --resume they stay"):
        await fill(settings)


async def test_only_missing_rows_are_added_after_an_interruption(
    database: Database, session: AsyncSession, settings: CoreSettings
) -> None:
    await fill(settings, shelves=7, books=0)

    assert await fill(settings, resume=True) == {"lab_shelves": 13, "lab_books": 60}
    assert await fill(settings, resume=True) == {"lab_shelves": 0, "lab_books": 0}
    assert await session.scalar(select(func.count(LabBook.id))) == 60


async def test_each_chunk_is_stored_before_the_next_one_is_made(
    database: Database, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that memory does not grow with the number of rows."""
    monkeypatch.setattr("app.core.command_line.seeding.RECORDS_IN_TRANSACTION", 8)
    context = SeedContext(1, "shelves", SEEDS, count_records(SEEDS, {}))
    stored, made_until = [], []

    async for records, _ in chunks_stored(database, context, SEEDS["shelves"], resume=False):
        made_until.append(context.number)
        stored.append(records)
        assert await session.scalar(select(func.count(LabShelf.id))) == sum(stored)
        await session.rollback()

    assert (stored, made_until) == ([8, 8, 4], [7, 15, 19])


def test_rows_for_development_stay_out_of_other_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")

    result = CliRunner().invoke(command_line, ["db", "seed"])

    assert result.exit_code == 1
    assert result.stderr.startswith("ENVIRONMENT is staging, and these rows are for development:")


def test_a_seed_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SeedingError, match=r"app/domains/nothing/seed\.py cannot be used: Module"):
        load_seed("nothing")
