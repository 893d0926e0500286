"""Imports of NDJSON, parsed outside the event loop before a transaction begins."""

import asyncio
import pickle
from bisect import insort
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, Generic, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from app.core.schemas import name_fields
from app.core.streaming import read_lines

T = TypeVar("T")

LISTED = 100  # rejected lines that a response lists; further ones are only counted
BATCH_BYTES = 131_072  # large enough for efficient statements, parsed in milliseconds
LINE_BYTES = 64  # overhead per line
MEMORY_BYTES = 1_048_576  # larger imports are kept in a file


@dataclass(frozen=True, order=True)
class Rejection:
    line: int
    reason: str


@dataclass
class ImportResult:
    """The result of an import. All rejections are counted, and the first ones are listed."""

    inserted: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    rejected_count: int = 0

    def reject(self, line: int, reason: str) -> None:
        self.rejected_count += 1
        if len(self.rejected) < LISTED or line < self.rejected[-1].line:
            insort(self.rejected, Rejection(line, reason))
            del self.rejected[LISTED:]


class ParsedLines(Generic[T]):
    """The valid lines of an import, in a temporary file, and the errors in the others."""

    def __init__(self, file: IO[bytes], parse: Callable[[bytes], T]) -> None:
        self._file = file
        self._parse = parse
        self._count = 0
        self._rejected = ImportResult()

    def result(self) -> ImportResult:
        """Return a new result that contains the lines that could not be parsed."""
        return ImportResult(0, [*self._rejected.rejected], self._rejected.rejected_count)

    async def batches(self) -> AsyncIterator[list[tuple[int, T]]]:
        """Yield line numbers and parsed values. Each call starts at the first line."""
        self._file.seek(0)
        while batch := await asyncio.to_thread(self._load):
            yield batch

    def add(self, lines: list[bytes]) -> None:
        """Parse the next lines. This takes milliseconds, so call it in a thread."""
        batch = []
        for number, line in enumerate(lines, start=self._count + 1):
            if not line.strip():
                continue
            try:
                batch.append((number, self._parse(line)))
            except ValidationError as error:
                listed = len(self._rejected.rejected) < LISTED
                self._rejected.reject(number, describe(error) if listed else "")
        self._count += len(lines)
        if batch:
            pickle.dump(batch, self._file)

    def _load(self) -> list[tuple[int, T]]:
        try:
            batch: list[tuple[int, T]] = pickle.load(self._file)  # noqa: S301 - written by `add`
        except EOFError:
            return []
        return batch


def describe(error: ValidationError) -> str:
    """Return the first error without the value: `items.0.name: Field required`."""
    first = name_fields(error.errors(include_input=False, include_url=False))[0]
    return f"{first['field']}: {first['message']}".removeprefix(": ")


@asynccontextmanager
async def parse_lines(
    request: Request, parse: Callable[[bytes], T]
) -> AsyncIterator[ParsedLines[T]]:
    """Receive the lines of a request body and parse each one. Empty lines are skipped.

    `parse` runs in a thread. It must return values that can be pickled, and raise pydantic's
    `ValidationError` to reject a line. All lines are received before the body of the
    `async with` runs, so that a slow client does not keep a transaction open.
    """
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as file:
        lines = ParsedLines(file, parse)
        batch: list[bytes] = []
        size = 0
        async for line in read_lines(request):
            batch.append(line)
            size += len(line) + LINE_BYTES
            if size > BATCH_BYTES:
                await asyncio.to_thread(lines.add, batch)
                batch, size = [], 0
        await asyncio.to_thread(lines.add, batch)
        yield lines
