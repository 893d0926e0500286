import threading

import pytest
from pydantic import BaseModel

from app.core.imports import BATCH_BYTES, LISTED, parse_lines
from tests.core.conftest import request_of


class Line(BaseModel):
    number: int


def parse(line: bytes) -> int:
    return Line.model_validate_json(line).number


def build(number: int) -> bytes:
    return b'{"number": %d}\n' % number


async def test_what_is_valid_comes_with_its_line_and_the_rest_is_rejected() -> None:
    body = build(7) + b"\n" + b'{"number": "s3cret"}\n' + build(8) + b"s3cret"

    async with parse_lines(request_of(body), parse) as lines:
        batches = [batch async for batch in lines.batches()]

    assert batches == [[(1, 7), (4, 8)]]
    result = lines.result()
    assert [rejection.line for rejection in result.rejected] == [3, 5]
    assert result.rejected[0].reason.startswith("number: Input should be a valid integer")
    assert result.rejected[1].reason.startswith("Invalid JSON")
    assert "s3cret" not in str(result)


async def test_a_transaction_that_is_run_again_finds_the_same_lines() -> None:
    async with parse_lines(request_of(build(1), b"bad\n", build(3)), parse) as lines:
        for _ in range(2):
            result = lines.result()
            result.reject(1, "found in the transaction")

            assert [batch async for batch in lines.batches()] == [[(1, 1), (3, 3)]]
            assert [rejection.line for rejection in result.rejected] == [1, 2]
            assert result.rejected_count == 2


@pytest.mark.parametrize("line", [b"1\n", b"1" * 10_000 + b"\n"])
async def test_batches_are_small_however_long_the_lines_are(line: bytes) -> None:
    count = 3 * BATCH_BYTES // len(line)

    async with parse_lines(request_of(line * count), bytes) as lines:
        batches = [[value for _, value in batch] async for batch in lines.batches()]

    assert sum(len(batch) for batch in batches) == count
    assert max(len(b"".join(batch)) for batch in batches) <= BATCH_BYTES + len(line)
    assert len(batches) > 2


async def test_lines_are_parsed_off_the_event_loop() -> None:
    async with parse_lines(request_of(b"1\n"), lambda _: threading.get_ident()) as lines:
        batches = [batch async for batch in lines.batches()]

    assert batches != [[(1, threading.get_ident())]]


async def test_rejections_are_listed_to_a_limit_and_counted_beyond() -> None:
    async with parse_lines(request_of(b"bad\n" * 1000), parse) as lines:
        result = lines.result()

    assert result.rejected_count == 1000
    assert [rejection.line for rejection in result.rejected] == [*range(1, LISTED + 1)]
    assert all(rejection.reason.startswith("Invalid JSON") for rejection in result.rejected)


async def test_the_rejections_that_are_listed_are_the_first_whenever_they_were_found() -> None:
    body = build(1) * 50 + b"bad\n" * 1000
    async with parse_lines(request_of(body), parse) as lines:
        result = lines.result()

    for line in range(1, 51):
        result.reject(line, "found later")
    result.reject(2000, "found later")

    assert result.rejected_count == 1051
    assert [rejection.line for rejection in result.rejected] == [*range(1, LISTED + 1)]
