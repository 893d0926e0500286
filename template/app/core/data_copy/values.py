"""Values as they are stored: read and written without a change, and summed up to be compared."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
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

from app.core.data_copy.errors import explained
from app.core.models import UtcDateTime

EXACT = Context(prec=100_000)
HASH_BYTES = 16
BATCH_ROWS = 1000
BATCH_BYTES = 4_000_000
# The `repr` of their values is the same whichever database they come from.
PLAIN = (Boolean, DateTime, Enum, Integer, LargeBinary, String, UtcDateTime)


class Instant(TypeDecorator[Any]):
    """A datetime with a time zone, which not every database keeps: there it is in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def __init__(self, type_: TypeEngine[Any]) -> None:
        super().__init__()
        self.type_ = type_  # what tells two of them apart
        self.impl = self.impl_instance = type_  # type: ignore[assignment]

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's
        if not isinstance(value, datetime):
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored_type(type_: TypeEngine[Any]) -> Any:
    """What a type of the service's own is made of."""
    return stored_type(type_.impl_instance) if isinstance(type_, TypeDecorator) else type_


def exact_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    stored = stored_type(type_)
    if isinstance(stored, JSON):
        return JSON(none_as_null=True)
    if isinstance(stored, DateTime) and stored.timezone and not isinstance(type_, UtcDateTime):
        return Instant(type_)
    return type_


def load_json(text: str) -> Any:
    """Tell `null`, which is a value, from NULL: as a rule both are read as `None`."""
    value = json.loads(text)
    return JSON.NULL if value is None else value


def settle(value: Any) -> Any:
    """A number, id or set in a form that is the same for all that are equal."""
    if isinstance(value, Decimal):
        return str(value.normalize(EXACT) or 0)
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return value


def settle_json(value: Any) -> Any:
    if value is None or value is JSON.NULL:
        return value if value is None else "null"
    return json.dumps(value, sort_keys=True, default=repr)


class Checksum:
    """Of rows in any order: how many, and the sum of their hashes."""

    def __init__(self, types: Iterable[TypeEngine[Any]]) -> None:
        self.rows = 0
        self.sum = 0
        self.settle: list[tuple[int, Callable[[Any], Any]]] = []
        for position, type_ in enumerate(types):
            if isinstance(type_, JSON):
                self.settle.append((position, settle_json))
            elif not isinstance(type_, PLAIN):
                self.settle.append((position, settle))

    def add(self, rows: Sequence[Sequence[Any]]) -> int:
        """Return about how many bytes the rows are."""
        size = 0
        for row in rows:
            values = list(row)
            for position, settled in self.settle:
                values[position] = settled(values[position])
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
    weigh: Callable[[Sequence[Any]], int],
) -> AsyncIterator[Sequence[Any]]:
    """Yield the rows in batches, the first of one row: how large rows are is seen by then."""
    size = 1
    with explained(f"{table} cannot be read"):
        result = await connection.stream(query)
        rows = await result.fetchmany(size)
    while rows:
        within_bytes = len(rows) * BATCH_BYTES // (weigh(rows) + 1)
        size = max(1, min(BATCH_ROWS, 4 * size, within_bytes))
        yield rows
        with explained(f"{table} cannot be read"):
            rows = await result.fetchmany(size)
