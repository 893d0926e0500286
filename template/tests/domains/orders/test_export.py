import json

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.orders.models import Order
from tests.conftest import CountStatements
from tests.domains.orders.factories import create_order
from tests.domains.users.factories import create_user


async def test_the_export_is_what_is_stored(client: AsyncClient, session: AsyncSession) -> None:
    orders = [await create_order(session, status=status) for status in ("pending", "paid")]

    response = await client.get("/orders/export")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    stored = [(await client.get(f"/orders/{order.id}")).json() for order in orders]
    for order in stored:
        del order["items"]
    assert [json.loads(line) for line in response.text.splitlines()] == stored


async def test_an_export_of_nothing_is_empty(client: AsyncClient) -> None:
    response = await client.get("/orders/export")

    assert (response.status_code, response.content) == (200, b"")


async def test_the_export_has_each_of_many_orders_exactly_once(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    user = await create_user(session)
    orders = [Order.of(user.id, []) for _ in range(2_001)]
    session.add_all(orders)
    await session.commit()

    async with count_statements() as count:
        response = await client.get("/orders/export")

    exported = [json.loads(line)["id"] for line in response.text.splitlines()]
    assert exported == [str(order.id) for order in orders]
    assert len(count) == 1


async def test_orders_that_were_exported_can_be_deleted_during_the_export(
    client: AsyncClient, session: AsyncSession
) -> None:
    order = await create_order(session)

    async with client.stream("GET", "/orders/export") as response:
        assert (await client.delete(f"/orders/{order.id}")).status_code == 204
        lines = [line async for line in response.aiter_lines()]

    assert [json.loads(line)["id"] for line in lines] == [str(order.id)]
