"""The status of one order and of many: which change is allowed, and that it happens once."""

import asyncio

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import UNKNOWN_ID, assert_problem
from tests.domains.orders.factories import create_order


@pytest.mark.parametrize(
    ("status", "action", "expected"),
    [
        ("pending", "pay", "paid"),
        ("pending", "cancel", "cancelled"),
        ("paid", "ship", "shipped"),
        ("paid", "cancel", "cancelled"),
    ],
)
async def test_an_order_changes_its_status(
    client: AsyncClient, session: AsyncSession, status: str, action: str, expected: str
) -> None:
    order = await create_order(session, status=status)

    response = await client.post(f"/orders/{order.id}/{action}")

    assert (response.status_code, response.json()["status"]) == (200, expected)
    read = (await client.get(f"/orders/{order.id}")).json()
    assert response.json().items() <= read.items()
    assert read["updated_at"] > read["created_at"]


async def test_paying_twice_is_a_conflict(client: AsyncClient, session: AsyncSession) -> None:
    order = await create_order(session)

    await client.post(f"/orders/{order.id}/pay")
    response = await client.post(f"/orders/{order.id}/pay")

    assert_problem(response, 409)
    assert response.json()["type"] == "urn:problem:illegal-transition"
    assert len((await client.get(f"/orders/{order.id}/history")).json()) == 1


async def test_of_payments_at_once_one_succeeds(client: AsyncClient, session: AsyncSession) -> None:
    order = await create_order(session)

    payments = [client.post(f"/orders/{order.id}/pay") for _ in range(8)]
    responses = await asyncio.gather(*payments)

    assert sorted(response.status_code for response in responses) == [200] + [409] * 7
    assert len((await client.get(f"/orders/{order.id}/history")).json()) == 1


@pytest.mark.parametrize("action", ["pay", "ship", "cancel"])
async def test_an_unknown_order_changes_no_status(client: AsyncClient, action: str) -> None:
    assert_problem(await client.post(f"/orders/{UNKNOWN_ID}/{action}"), 404)


async def test_an_update_is_refused_if_one_of_the_orders_may_not_have_the_status(
    client: AsyncClient, session: AsyncSession
) -> None:
    orders = [await create_order(session, status=status) for status in ("pending", "shipped")]
    ids = [str(order.id) for order in orders]

    response = await client.patch("/orders", json={"ids": ids, "status": "cancelled"})

    assert_problem(response, 409)
    assert ids[1] in response.json()["detail"]
    read = [(await client.get(f"/orders/{order_id}")).json() for order_id in ids]
    assert [order["status"] for order in read] == ["pending", "shipped"]
    assert (await client.get(f"/orders/{ids[0]}/history")).json() == []


async def test_an_update_counts_the_orders_that_exist_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    orders = [await create_order(session) for _ in range(3)]
    ids = [str(order.id) for order in orders[:2]]

    response = await client.patch(
        "/orders", json={"ids": [*ids, UNKNOWN_ID, *ids], "status": "paid"}
    )

    assert (response.status_code, response.json()) == (200, {"updated": 2})
    read = [(await client.get(f"/orders/{order.id}")).json() for order in orders]
    assert [order["status"] for order in read] == ["paid", "paid", "pending"]
    assert read[0]["updated_at"] > read[0]["created_at"]


async def test_an_update_of_nothing_is_no_error(client: AsyncClient) -> None:
    response = await client.patch("/orders", json={"ids": [UNKNOWN_ID], "status": "paid"})

    assert (response.status_code, response.json()) == (200, {"updated": 0})


async def test_the_history_has_every_change_the_oldest_first(
    client: AsyncClient, session: AsyncSession
) -> None:
    order = await create_order(session)
    for action in ("pay", "ship"):
        await client.post(f"/orders/{order.id}/{action}")

    history = (await client.get(f"/orders/{order.id}/history")).json()
    limited = (await client.get(f"/orders/{order.id}/history?limit=1")).json()

    assert [change["status"] for change in history] == ["paid", "shipped"]
    assert limited == history[:1]


async def test_of_updates_of_the_same_orders_at_once_one_succeeds(
    client: AsyncClient, session: AsyncSession
) -> None:
    ids = [str((await create_order(session)).id) for _ in range(5)]

    updates = [
        client.patch("/orders", json={"ids": ids[:: 1 - 2 * (turn % 2)], "status": "paid"})
        for turn in range(8)
    ]
    responses = await asyncio.gather(*updates)

    assert sorted(response.status_code for response in responses) == [200] + [409] * 7
    assert len((await client.get(f"/orders/{ids[0]}/history")).json()) == 1
