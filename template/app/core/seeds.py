"""What a domain brings to `app db seed`: rows for development that are the same each time.

`app/domains/<domain>/seed.py` has a `Seed` with the name `seed`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from app.core.models import Base

START = datetime(2025, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(seconds=31)  # a million of the domain that has most of them are a year

Row = dict[str, Any]
Rows = Iterable[tuple[type[Base], Row]]


@dataclass(frozen=True)
class Seed:
    """How many records a domain gets, and the rows of one record.

    Without an option there are `count` records, or `count` for each record of the domain `per`.
    `rows` yields tables with a row: all columns that have no default, with the same keys each time.
    `models` are the tables, each after those to which it refers.
    """

    models: tuple[type[Base], ...]
    rows: Callable[["SeedContext"], Rows]
    count: int = 1000
    per: str | None = None


class SeedContext:
    """The record that is made. The same seed and number make the same record on any machine."""

    def __init__(
        self, seed: int, domain: str, seeds: Mapping[str, Seed], counts: Mapping[str, int]
    ):
        self.seed = seed
        self.domain = domain
        self.counts = counts
        self.densities = {name: density(name, seeds) for name in seeds}
        self.random = Random()  # noqa: S311 - not a secret
        self.number = 0
        self.ids = 0

    def begin(self, number: int) -> None:
        """Go on to the record with this number, which starts at 0."""
        self.number = number
        self.ids = 0

    @property
    def created_at(self) -> datetime:
        """When the record was created: each some time after the one before."""
        return instant_of(self.number, self.densities[self.domain])

    def next_id(self) -> UUID:
        """Return the id for the next row of the record. The first one is the record's own."""
        self.ids += 1
        return self.id_of(self.domain, self.number, self.ids)

    def earlier(self, domain: str) -> UUID:
        """Return the id of any record of another domain that was created before this one."""
        last = int(self.number / self.densities[self.domain] * self.densities[domain])
        number = self.random.randrange(min(last + 1, self.counts[domain]))
        return self.id_of(domain, number)

    def id_of(self, domain: str, number: int, row: int = 1) -> UUID:
        """Return the id of a record, or of another of its rows: a UUID of version 7.

        Its time is that of the record.
        """
        text = f"{self.seed} {domain} {number} {row}"
        noise = hashlib.blake2b(text.encode(), digest_size=10).digest()
        instant = instant_of(number, self.densities[domain])
        value = int(instant.timestamp() * 1000) << 80 | int.from_bytes(noise)
        value = value & ~(0xF000 << 64) & ~(0xC000 << 48)
        return UUID(int=value | 0x7000 << 64 | 0x8000 << 48)


def density(name: str, seeds: Mapping[str, Seed]) -> float:
    """Return how many records there are for one of the domain on which all others depend."""
    seed = seeds[name]
    if seed.per is None or seed.per not in seeds:
        return 1.0
    return seed.count * density(seed.per, seeds)


def instant_of(number: int, density: float) -> datetime:
    return START + INTERVAL * (number / density)
