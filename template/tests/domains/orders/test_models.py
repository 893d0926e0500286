from uuid import uuid4

from app.domains.orders.models import Order, OrderStatus
from tests.domains.orders.factories import build_item


def test_the_total_of_an_order_is_that_of_its_items() -> None:
    items = [build_item(quantity=2, price_cents=150), build_item(quantity=1, price_cents=75)]

    order = Order.of(uuid4(), iter(items))

    assert (order.total_cents, order.items) == (375, items)


def test_a_new_order_is_pending() -> None:
    assert Order.of(uuid4(), []).status == OrderStatus.PENDING
