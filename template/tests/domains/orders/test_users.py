"""A user's orders and dashboard."""

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import CountStatements
from tests.core.hostile import assert_problem
from tests.domains.orders.factories import build_item, create_order
from tests.domains.users.factories import create_deleted_user, create_user


async def test_a_user_is_read_with_its_orders_the_newest_first(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    orders = [await create_order(session, user=user) for _ in range(3)]
    await create_order(session)

    read = (await client.get(f"/users/{user.id}/orders")).json()
    limited = (await client.get(f"/users/{user.id}/orders?limit=1")).json()

    alone = (await client.get(f"/users/{user.id}")).json()
    assert read == {**alone, "orders": read["orders"]}
    assert [order["id"] for order in read["orders"]] == [str(order.id) for order in orders[::-1]]
    assert set(read["orders"][0]) == {"id", "status", "total_cents", "created_at", "updated_at"}
    assert limited["orders"] == read["orders"][:1]


async def test_a_dashboard_has_ten_orders_and_the_totals_of_all(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    for status in 8 * ["paid"] + 4 * ["shipped"]:
        await create_order(session, user=user, status=status, items=[build_item(price_cents=50)])
    await create_order(session)

    dashboard = (await client.get(f"/users/{user.id}/dashboard")).json()

    assert set(dashboard) == {"user", "latest_orders", "totals"}
    assert dashboard["user"] == (await client.get(f"/users/{user.id}")).json()
    statuses = [order["status"] for order in dashboard["latest_orders"]]
    assert statuses == 4 * ["shipped"] + 6 * ["paid"]
    assert dashboard["totals"] == [
        {"status": "paid", "orders": 8, "total_cents": 800},
        {"status": "shipped", "orders": 4, "total_cents": 400},
    ]


async def test_a_user_without_orders_has_an_empty_dashboard(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)

    dashboard = (await client.get(f"/users/{user.id}/dashboard")).json()

    assert (dashboard["latest_orders"], dashboard["totals"]) == ([], [])


@pytest.mark.parametrize("path", ["orders", "dashboard"])
async def test_a_deleted_user_has_none(
    client: AsyncClient, session: AsyncSession, path: str
) -> None:
    user = await create_deleted_user(session)
    await create_order(session, user=user)

    assert_problem(await client.get(f"/users/{user.id}/{path}"), 404)


async def test_a_dashboard_takes_three_statements(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    user = await create_user(session)
    for _ in range(3):
        await create_order(session, user=user)

    async with count_statements() as count:
        await client.get(f"/users/{user.id}/dashboard")

    assert len(count) == 3
