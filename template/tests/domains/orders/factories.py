import json
from collections.abc import Iterable
from typing import Any

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.orders.models import Order, OrderItem
from app.domains.users.models import User
from tests.domains.users.factories import create_user


def build_item(**values: Any) -> OrderItem:
    return OrderItem(**{"name": "Punched card", "quantity": 2, "price_cents": 150, **values})


async def create_order(
    session: AsyncSession,
    *,
    user: User | None = None,
    items: Iterable[OrderItem] | None = None,
    **values: Any,
) -> Order:
    user = user or await create_user(session)
    order = Order.of(user.id, [build_item()] if items is None else items)
    for name, value in values.items():
        setattr(order, name, value)
    session.add(order)
    await session.commit()
    return order


def build_line(user_id: object, **item: Any) -> bytes:
    items = [{"name": "Punched card", "quantity": 2, "price_cents": 150, **item}]
    return json.dumps({"user_id": str(user_id), "items": items}).encode()


async def import_lines(client: AsyncClient, lines: Iterable[bytes]) -> Any:
    response = await client.post("/orders/import", content=b"\n".join(lines))
    assert response.status_code == 200, response.text
    return response.json()
