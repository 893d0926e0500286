import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from typer.testing import CliRunner

from app.core.commands import command_line
from app.core.database import Database
from app.domains.orders.models import Order, OrderStatus, StatusChange, total_of


def seed() -> None:
    result = CliRunner().invoke(command_line, ["db", "seed", "--users", "50"])
    assert result.exit_code == 0, result.output


async def test_seeded_orders_follow_the_rules_of_orders(
    database: Database, session: AsyncSession
) -> None:
    """Their totals are those of their items, and their statuses changed as they may."""
    await asyncio.to_thread(seed)

    orders = (await session.scalars(select(Order).options(selectinload(Order.items)))).all()
    changes = (await session.scalars(select(StatusChange).order_by(StatusChange.created_at))).all()
    assert len(orders) == 100
    assert {order.status for order in orders} == {*OrderStatus}
    for order in orders:
        assert order.items
        assert order.total_cents == total_of(order.items)
        again = Order.of(order.user_id, [])
        for change in changes:
            if change.order_id == order.id:
                again.change_status(change.status)
        assert again.status == order.status
