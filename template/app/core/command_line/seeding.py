"""Fill the tables of the service with rows for development, in constant memory."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from graphlib import TopologicalSorter
from importlib import import_module
from random import Random
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bulk import in_chunks, insert_rows
from app.core.database import Database, open_database
from app.core.defaults import table_of
from app.core.models import Base
from app.core.seeds import Seed, SeedContext
from app.core.settings import CoreSettings

RECORDS_IN_TRANSACTION = 5000

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class SeedingError(Exception):
    """Nothing is inserted. The message says why, and what to do."""


def load_seeds(domains: Iterable[str]) -> dict[str, Seed]:
    """Return what the domains bring, each after the one on which it depends."""
    found = {name: load_seed(name) for name in domains}
    order: TopologicalSorter[str] = TopologicalSorter()
    for name, seed in found.items():
        order.add(name, *(each for each in found if each == seed.per))
    return {name: found[name] for name in order.static_order()}


def load_seed(domain: str) -> Seed:
    try:
        seed: Seed = import_module(f"app.domains.{domain}.seed").seed
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SeedingError(f"app/domains/{domain}/seed.py cannot be used: {reason}.") from error
    return seed


def count_records(seeds: Mapping[str, Seed], given: Mapping[str, int]) -> dict[str, int]:
    """Return how many records each domain gets: as given, or in proportion."""
    counts: dict[str, int] = {}
    for name, seed in seeds.items():
        parents = counts.get(seed.per or "", 1)
        counts[name] = given.get(name, seed.count * parents)
        if counts[name] and not parents:
            raise SeedingError(f"{name} need {seed.per}: --{seed.per} must be at least 1.")
    return counts


async def seed_database(
    settings: CoreSettings,
    seeds: Mapping[str, Seed],
    counts: Mapping[str, int],
    *,
    seed: int,
    resume: bool,
    bar: Bar,
) -> dict[str, int]:
    """Insert the records, and return how many rows were inserted, by table.

    With `resume`, rows that are there are left as they are. Without, raise `SeedingError`
    if a table has any.
    """
    inserted: dict[str, int] = {}
    async with open_database(settings) as database:
        if not resume:
            await refuse_rows(database, seeds.values())
        for name in seeds:
            with bar(name, counts[name]) as advance:
                async for records, rows in chunks_stored(
                    database, SeedContext(seed, name, seeds, counts), seeds[name], resume=resume
                ):
                    advance(records)
                    for table, count in rows.items():
                        inserted[table] = inserted.get(table, 0) + count
    return inserted


async def refuse_rows(database: Database, seeds: Iterable[Seed]) -> None:
    async with database.read(primary=True) as session:
        for model in (each for seed in seeds for each in seed.models):
            table = table_of(model)
            if await session.scalar(select(literal(1)).select_from(table).limit(1)):
                raise SeedingError(
                    f"The table {table.name} has rows. With --resume they stay, and those that are"
                    " missing are added."
                )


async def chunks_stored(
    database: Database, context: SeedContext, seed: Seed, *, resume: bool
) -> AsyncIterator[tuple[int, dict[str, int]]]:
    """Store the records of a domain, and yield how many, and the rows, after each transaction."""
    for numbers in in_chunks(range(context.counts[context.domain]), RECORDS_IN_TRANSACTION):
        rows = make_rows(context, seed, numbers)
        async with database.transaction() as session:
            if resume:
                rows = {model: await missing(session, model, rows[model]) for model in rows}
            stored = {
                table_of(model).name: await insert_rows(session, model, rows[model])
                for model in rows
            }
        yield len(numbers), stored


def make_rows(
    context: SeedContext, seed: Seed, numbers: Sequence[int]
) -> dict[type[Base], list[dict[str, Any]]]:
    """Return the rows of the records by table. They depend on the first number, and no other."""
    rows: dict[type[Base], list[dict[str, Any]]] = {model: [] for model in seed.models}
    context.random = Random(f"{context.seed} {context.domain} {numbers[0]}")  # noqa: S311 - no secret
    for number in numbers:
        context.begin(number)
        for model, row in seed.rows(context):
            rows[model].append(row)
    return rows


async def missing(
    session: AsyncSession, model: Any, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows whose ids the table does not have, also not in those soft-deleted."""
    column = table_of(model).c.id
    found: set[Any] = set()
    for chunk in in_chunks(row["id"] for row in rows):
        found.update(await session.scalars(select(column).where(column.in_(chunk))))
    return [row for row in rows if row["id"] not in found]
