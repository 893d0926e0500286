from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.imports import ImportResult, ParsedLines
from app.domains.orders.models import Order, OrderItem, total_of
from app.domains.orders.repository import OrderRepository, OrderRows
from app.domains.orders.schemas import OrderCreate
from app.domains.users.repository import UserRepository


def to_order(data: OrderCreate) -> Order:
    return Order.of(data.user_id, (OrderItem(**item.model_dump()) for item in data.items))


def parse_order(line: bytes) -> OrderRows:
    data = OrderCreate.model_validate_json(line)
    order = {"id": uuid7(), "user_id": data.user_id, "total_cents": total_of(data.items)}
    return OrderRows(order, [{"order_id": order["id"], **item.model_dump()} for item in data.items])


class OrderService:
    def __init__(self, session: AsyncSession) -> None:
        self.orders = OrderRepository(session)
        self.users = UserRepository(session)

    async def place(self, data: OrderCreate) -> Order:
        await self.users.get_referenced(data.user_id)
        return await self.orders.add(to_order(data))

    async def import_orders(self, lines: ParsedLines[OrderRows]) -> ImportResult:
        """Store the orders whose users exist and reject the others."""
        result = lines.result()
        async for batch in lines.batches():
            known = await self.users.find_existing({rows.order["user_id"] for _, rows in batch})
            orders = []
            for line, rows in batch:
                if rows.order["user_id"] in known:
                    orders.append(rows)
                else:
                    result.reject(line, "user_id: There is no user with this id.")
            result.inserted += await self.orders.add_many(orders)
        return result
