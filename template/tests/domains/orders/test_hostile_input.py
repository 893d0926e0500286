from typing import Any

import pytest
from httpx import AsyncClient

from tests.core.hostile import (
    BODIES,
    IDS,
    NUMBERS,
    TEXTS,
    UNKNOWN_ID,
    assert_invalid,
    assert_problem,
    send,
    send_bytes,
)

ITEM = {"name": "Punched card", "quantity": 2, "price_cents": 150}
ORDER = {"user_id": UNKNOWN_ID, "items": [ITEM]}
STATUS = {"ids": [UNKNOWN_ID], "status": "paid"}


async def place(client: AsyncClient, **item: Any) -> Any:
    return await send(client, "POST", "/orders", {**ORDER, "items": [ITEM, {**ITEM, **item}]})


@pytest.mark.parametrize("value", TEXTS)
async def test_a_bad_name_is_invalid(client: AsyncClient, value: Any) -> None:
    assert_invalid(await place(client, name=value), "body.items.1.name")


@pytest.mark.parametrize("value", [*NUMBERS, 0, 10_001, 2**31])
async def test_a_bad_quantity_is_invalid(client: AsyncClient, value: Any) -> None:
    assert_invalid(await place(client, quantity=value), "body.items.1.quantity")


@pytest.mark.parametrize("value", [*NUMBERS, 10**9 + 1, 2**31])
async def test_a_bad_price_is_invalid(client: AsyncClient, value: Any) -> None:
    assert_invalid(await place(client, price_cents=value), "body.items.1.price_cents")


@pytest.mark.parametrize("field", ["id", "order_id", "\x00"])
async def test_an_unknown_field_is_invalid(client: AsyncClient, field: str) -> None:
    assert_invalid(await place(client, **{field: "s3cret"}), f"body.items.1.{field}")


@pytest.mark.parametrize("field", ["status", "total_cents"])
async def test_status_and_total_are_not_the_clients_to_choose(
    client: AsyncClient, field: str
) -> None:
    response = await send(client, "POST", "/orders", {**ORDER, field: "s3cret"})

    assert_invalid(response, f"body.{field}")


@pytest.mark.parametrize("value", IDS)
async def test_a_bad_id_is_invalid(client: AsyncClient, value: Any) -> None:
    placed = await send(client, "POST", "/orders", {**ORDER, "user_id": value})
    updated = await send(client, "PATCH", "/orders", {**STATUS, "ids": [UNKNOWN_ID, value]})

    assert_invalid(placed, "body.user_id")
    assert_invalid(updated, "body.ids.1")


@pytest.mark.parametrize("items", [[], None, "s3cret", ["s3cret"], [ITEM] * 101])
async def test_a_bad_list_of_items_is_invalid(client: AsyncClient, items: Any) -> None:
    response = await send(client, "POST", "/orders", {**ORDER, "items": items})

    assert_invalid(response, "body.items")


@pytest.mark.parametrize("ids", [[], None, "s3cret", [UNKNOWN_ID] * 1_001])
async def test_a_bad_list_of_orders_is_invalid(client: AsyncClient, ids: Any) -> None:
    assert_invalid(await send(client, "PATCH", "/orders", {**STATUS, "ids": ids}), "body.ids")


@pytest.mark.parametrize("value", ["s3cret", "PAID", "", None, 1])
async def test_a_bad_status_is_invalid(client: AsyncClient, value: Any) -> None:
    response = await send(client, "PATCH", "/orders", {**STATUS, "status": value})

    assert_invalid(response, "body.status")


@pytest.mark.parametrize("content", BODIES)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_body_that_is_no_object_is_refused(
    client: AsyncClient, method: str, content: bytes
) -> None:
    assert_problem(await send_bytes(client, method, "/orders", content), 400, 413, 422)


@pytest.mark.parametrize("limit", ["0", "-1", "1000000000", "s3cret", "%00"])
async def test_a_bad_limit_is_invalid(client: AsyncClient, limit: str) -> None:
    for path in (f"/orders/{UNKNOWN_ID}/history", f"/users/{UNKNOWN_ID}/orders"):
        assert_invalid(await client.get(f"{path}?limit={limit}"), "query.limit")


@pytest.mark.parametrize("id", ["s3cret", "%00", "%ED%A0%80"])
async def test_what_is_no_id_is_invalid(client: AsyncClient, id: str) -> None:
    for method, path in [
        ("GET", f"/orders/{id}"),
        ("DELETE", f"/orders/{id}"),
        ("GET", f"/orders/{id}/history"),
        ("POST", f"/orders/{id}/pay"),
        ("GET", f"/users/{id}/orders"),
        ("GET", f"/users/{id}/dashboard"),
    ]:
        assert_invalid(await client.request(method, path), "path.")


@pytest.mark.parametrize(
    "cursor", ["", "s3cret", "s3cret\x00", "é", "bnVsbA", "W10", "W1tbW1" * 500]
)
async def test_a_bad_cursor_is_invalid(client: AsyncClient, cursor: str) -> None:
    response = await client.get("/orders", params={"after": cursor})

    assert_problem(response, 422)
