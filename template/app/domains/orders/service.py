from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bulk import in_chunks
from app.core.schemas import name_fields
from app.domains.orders.models import Order, OrderItem
from app.domains.orders.repository import OrderRepository
from app.domains.orders.schemas import OrderCreate
from app.domains.users.repository import UserRepository


@dataclass(frozen=True)
class Rejection:
    line: int
    reason: str


@dataclass
class Import:
    inserted: int = 0
    rejected: list[Rejection] = field(default_factory=list)


def to_order(data: OrderCreate) -> Order:
    return Order.of(data.user_id, (OrderItem(**item.model_dump()) for item in data.items))


class OrderService:
    def __init__(self, session: AsyncSession) -> None:
        self.orders = OrderRepository(session)
        self.users = UserRepository(session)

    async def place(self, data: OrderCreate) -> Order:
        await self.users.get_referenced(data.user_id)
        return await self.orders.add(to_order(data))

    async def import_lines(self, lines: Iterable[bytes]) -> Import:
        """Store the orders, one JSON document a line; tell which lines are none, and why."""
        result = Import()
        for chunk in in_chunks(enumerate(lines, start=1)):
            valid: dict[int, OrderCreate] = {}
            for number, line in chunk:
                if not line.strip():
                    continue
                try:
                    valid[number] = OrderCreate.model_validate_json(line)
                except ValidationError as error:
                    first = name_fields(error.errors(include_input=False))[0]
                    reason = f"{first['field']}: {first['message']}".removeprefix(": ")
                    result.rejected.append(Rejection(number, reason))
            known = await self.users.find_existing({data.user_id for data in valid.values()})
            result.rejected += self.reject_unknown(valid, known)
            orders = [to_order(data) for data in valid.values() if data.user_id in known]
            result.inserted += await self.orders.add_many(orders)
        result.rejected.sort(key=lambda rejection: rejection.line)
        return result

    @staticmethod
    def reject_unknown(valid: dict[int, OrderCreate], known: set[UUID]) -> Iterable[Rejection]:
        for number, data in valid.items():
            if data.user_id not in known:
                yield Rejection(number, "user_id: There is no user with this id.")
