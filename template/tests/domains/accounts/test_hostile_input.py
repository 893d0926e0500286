from typing import Any

import pytest
from httpx import AsyncClient

from tests.core.hostile import (
    BODIES,
    IDS,
    NUMBERS,
    UNKNOWN_ID,
    assert_invalid,
    assert_problem,
    send,
    send_bytes,
)

ACCOUNT = {"owner_id": UNKNOWN_ID, "balance_cents": 100}
TRANSFER = {"source_id": UNKNOWN_ID, "target_id": UNKNOWN_ID[:-1] + "1", "amount_cents": 100}


@pytest.mark.parametrize("value", [*NUMBERS, 10**12 + 1])
async def test_a_bad_amount_is_invalid(client: AsyncClient, value: Any) -> None:
    transfer = {**TRANSFER, "amount_cents": value}
    opened = await send(client, "POST", "/accounts", {**ACCOUNT, "balance_cents": value})
    moved = await send(client, "POST", "/transfers", transfer)
    batch = await send(client, "POST", "/transfers/batch", {"transfers": [TRANSFER, transfer]})

    assert_invalid(opened, "body.balance_cents")
    assert_invalid(moved, "body.amount_cents")
    assert_invalid(batch, "body.transfers.1.amount_cents")


async def test_a_transfer_of_nothing_is_invalid(client: AsyncClient) -> None:
    response = await send(client, "POST", "/transfers", {**TRANSFER, "amount_cents": 0})

    assert_invalid(response, "body.amount_cents")


@pytest.mark.parametrize("value", IDS)
async def test_a_bad_id_is_invalid(client: AsyncClient, value: Any) -> None:
    opened = await send(client, "POST", "/accounts", {**ACCOUNT, "owner_id": value})
    moved = await send(client, "POST", "/transfers", {**TRANSFER, "target_id": value})

    assert_invalid(opened, "body.owner_id")
    assert_invalid(moved, "body.target_id")


@pytest.mark.parametrize("transfers", [[], None, "s3cret", ["s3cret"], [TRANSFER] * 101])
async def test_a_bad_batch_is_invalid(client: AsyncClient, transfers: Any) -> None:
    response = await send(client, "POST", "/transfers/batch", {"transfers": transfers})

    assert_invalid(response, "body.transfers")


@pytest.mark.parametrize("field", ["id", "created_at", "\x00"])
async def test_an_unknown_field_is_invalid(client: AsyncClient, field: str) -> None:
    opened = await send(client, "POST", "/accounts", {**ACCOUNT, field: "s3cret"})
    moved = await send(client, "POST", "/transfers", {**TRANSFER, field: "s3cret"})

    assert_invalid(opened, f"body.{field}")
    assert_invalid(moved, f"body.{field}")


@pytest.mark.parametrize("content", BODIES)
@pytest.mark.parametrize("path", ["/accounts", "/transfers", "/transfers/batch"])
async def test_a_body_that_is_no_object_is_refused(
    client: AsyncClient, path: str, content: bytes
) -> None:
    assert_problem(await send_bytes(client, "POST", path, content), 400, 413, 422)


@pytest.mark.parametrize("id", ["s3cret", "%00", "%ED%A0%80"])
async def test_what_is_no_id_is_invalid(client: AsyncClient, id: str) -> None:
    assert_invalid(await client.get(f"/accounts/{id}"), "path.account_id")
