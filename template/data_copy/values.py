"""Values as they are stored: how to read and write them unchanged, and how to compare them."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Enum,
    Executable,
    Integer,
    LargeBinary,
    String,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.core.models import UtcDateTime
from data_copy.errors import explained

EXACT = Context(prec=100_000)
HASH_BYTES = 16
BATCH_ROWS = 1000
BATCH_BYTES = 4_000_000
# Types whose values have the same `repr` on every database.
PLAIN = (Boolean, DateTime, Enum, Integer, LargeBinary, String, UtcDateTime)


class ZonedDateTime(TypeDecorator[Any]):
    """A datetime with a time zone, read in UTC: some databases do not store the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def __init__(self, type_: TypeEngine[Any]) -> None:
        super().__init__()
        self.type_ = type_  # part of the cache key
        self.impl = self.impl_instance = type_  # type: ignore[assignment]

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's
        if not isinstance(value, datetime):
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored_type(type_: TypeEngine[Any]) -> Any:
    """The type that a `TypeDecorator` is based on."""
    return stored_type(type_.impl_instance) if isinstance(type_, TypeDecorator) else type_


def exact_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that reads and writes the values of a column of `type_` unchanged."""
    stored = stored_type(type_)
    if isinstance(stored, JSON):
        return JSON(none_as_null=True)
    if isinstance(stored, DateTime) and stored.timezone and not isinstance(type_, UtcDateTime):
        return ZonedDateTime(type_)
    return type_


def load_json(text: str) -> Any:
    """Distinguish the JSON value `null` from NULL: by default both are read as `None`."""
    value = json.loads(text)
    return JSON.NULL if value is None else value


def normalize(value: Any) -> Any:
    """Return the same for equal numbers, ids and sets, whichever database they come from."""
    if isinstance(value, Decimal):
        return str(value.normalize(EXACT) or 0)
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return value


def normalize_json(value: Any) -> str | None:
    if value is None:
        return None
    return "null" if value is JSON.NULL else json.dumps(value, sort_keys=True, default=repr)


class Checksum:
    """The number of rows, and a sum of their hashes, which does not depend on their order."""

    def __init__(self, types: Sequence[TypeEngine[Any]]) -> None:
        self.rows = 0
        self.sum = 0
        self.normalizers: list[tuple[int, Callable[[Any], Any]]] = [
            (position, normalize_json if isinstance(type_, JSON) else normalize)
            for position, type_ in enumerate(types)
            if not isinstance(type_, PLAIN)
        ]

    def add(self, rows: Sequence[Sequence[Any]]) -> int:
        """Return the approximate size of the rows, in bytes."""
        size = 0
        for row in rows:
            values = list(row)
            for position, normalizer in self.normalizers:
                values[position] = normalizer(values[position])
            text = repr(values).encode()
            size += len(text)
            self.sum += int.from_bytes(blake2b(text, digest_size=HASH_BYTES).digest(), "big")
        self.rows += len(rows)
        return size

    def __str__(self) -> str:
        return f"{self.sum % 256**HASH_BYTES:0{2 * HASH_BYTES}x}"


async def read(
    connection: AsyncConnection,
    query: Executable,
    table: str,
    measure: Callable[[Sequence[Any]], int],
) -> AsyncIterator[Sequence[Any]]:
    """Yield batches of at most about `BATCH_BYTES`. `measure` returns the size of a batch.

    The first batch is one row, which tells how large rows are.
    """
    size = 1
    with explained(f"{table} cannot be read"):
        result = await connection.stream(query)
        rows = await result.fetchmany(size)
    while rows:
        within_bytes = len(rows) * BATCH_BYTES // (measure(rows) + 1)
        size = max(1, min(BATCH_ROWS, 4 * size, within_bytes))
        yield rows
        with explained(f"{table} cannot be read"):
            rows = await result.fetchmany(size)
