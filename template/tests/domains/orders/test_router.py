from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.orders.models import OrderItem, StatusChange
from tests.conftest import CountStatements
from tests.core.hostile import UNKNOWN_ID, assert_documented, assert_problem
from tests.domains.orders.factories import build_item, create_order
from tests.domains.users.factories import create_deleted_user, create_user


def build_order(user_id: object, **item: Any) -> dict[str, Any]:
    items = [{"name": "Punched card", "quantity": 2, "price_cents": 150, **item}]
    return {"user_id": str(user_id), "items": items}


async def test_an_order_that_was_placed_can_be_read(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)

    placed = await client.post("/orders", json=build_order(user.id))

    assert placed.status_code == 201
    order = placed.json()
    assert order == {
        "id": order["id"],
        "user_id": str(user.id),
        "status": "pending",
        "total_cents": 300,
        "items": [
            {
                "id": order["items"][0]["id"],
                "name": "Punched card",
                "quantity": 2,
                "price_cents": 150,
                "created_at": order["items"][0]["created_at"],
                "updated_at": order["items"][0]["updated_at"],
            }
        ],
        "created_at": order["created_at"],
        "updated_at": order["updated_at"],
    }
    assert (await client.get(f"/orders/{order['id']}")).json() == order


async def test_items_keep_their_order(client: AsyncClient, session: AsyncSession) -> None:
    items = [build_item(name=name) for name in ("loom", "card", "gear")]
    order = await create_order(session, items=items)

    read = (await client.get(f"/orders/{order.id}")).json()

    assert [item["name"] for item in read["items"]] == ["loom", "card", "gear"]


async def test_the_largest_order_fits(client: AsyncClient, session: AsyncSession) -> None:
    data = build_order((await create_user(session)).id, quantity=10_000, price_cents=10**9)
    data["items"] *= 100

    placed = await client.post("/orders", json=data)

    assert (placed.status_code, placed.json()["total_cents"]) == (201, 10**15)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_user_who_does_not_exist_is_a_conflict(
    client: AsyncClient, session: AsyncSession, deleted: bool
) -> None:
    user_id = (await create_deleted_user(session)).id if deleted else UNKNOWN_ID

    assert_problem(await client.post("/orders", json=build_order(user_id)), 409)


async def test_with_an_order_its_items_and_its_history_are_deleted(
    client: AsyncClient, session: AsyncSession
) -> None:
    deleted, kept = await create_order(session), await create_order(session)
    ids = [str(deleted.id), str(kept.id)]
    await client.patch("/orders", json={"ids": ids, "status": "paid"})

    response = await client.delete(f"/orders/{deleted.id}")

    assert (response.status_code, response.content) == (204, b"")
    for model in (OrderItem, StatusChange):
        left = await session.scalars(select(model.order_id))
        assert left.all() == [kept.id]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/history")])
async def test_an_unknown_order_is_not_found(client: AsyncClient, method: str, path: str) -> None:
    assert_problem(await client.request(method, f"/orders/{UNKNOWN_ID}{path}"), 404)


@pytest.mark.parametrize("path", ["orders", "dashboard"])
async def test_orders_of_an_unknown_user_are_not_found(client: AsyncClient, path: str) -> None:
    assert_problem(await client.get(f"/users/{UNKNOWN_ID}/{path}"), 404)


async def test_an_order_takes_as_many_statements_with_one_item_as_with_many(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    counts = []
    for items in (1, 5):
        order = await create_order(session, items=[build_item() for _ in range(items)])
        async with count_statements() as count:
            await client.get(f"/orders/{order.id}")
        counts.append(len(count))

    assert counts == [2, 2]


async def test_placing_an_order_takes_as_many_statements_with_one_item_as_with_many(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    data = build_order((await create_user(session)).id)
    counts = []
    for items in (1, 20):
        async with count_statements() as count:
            await client.post("/orders", json={**data, "items": data["items"] * items})
        counts.append(len(count))

    assert counts == [3, 3]
    assert await session.scalar(select(func.count()).select_from(OrderItem)) == 21


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("POST", "/orders", [400, 409, 413, 422]),
        ("PATCH", "/orders", [400, 409, 413, 422]),
        ("POST", "/orders/import", [400, 409, 413, 422]),
        ("GET", "/orders/export", []),
        ("GET", "/orders/{order_id}", [404, 422]),
        ("GET", "/orders/{order_id}/history", [404, 422]),
        ("DELETE", "/orders/{order_id}", [404, 422]),
        ("POST", "/orders/{order_id}/pay", [404, 409, 422]),
        ("POST", "/orders/{order_id}/ship", [404, 409, 422]),
        ("POST", "/orders/{order_id}/cancel", [404, 409, 422]),
        ("GET", "/users/{user_id}/orders", [404, 422]),
        ("GET", "/users/{user_id}/dashboard", [404, 422]),
    ],
)
async def test_errors_are_documented(
    app: FastAPI, method: str, path: str, statuses: list[int]
) -> None:
    assert_documented(app.openapi(), method, path, *statuses)


async def test_orders_are_listed_by_total_page_by_page(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    for price in (150, 300, 150, 200):
        await create_order(session, user=user, items=[build_item(price_cents=price)])
    totals: list[int] = []
    after: dict[str, str] = {}
    while True:
        page = (await client.get("/orders", params={"limit": 2, **after})).json()
        totals += [order["total_cents"] for order in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert len(set(totals)) == 3
    assert totals == sorted(totals, reverse=True)
    assert len(totals) == 4
