from uuid import uuid4

import pytest

from app.domains.orders.models import IllegalTransitionError, Order, OrderStatus
from tests.domains.orders.factories import build_item


def test_the_total_of_an_order_is_that_of_its_items() -> None:
    items = [build_item(quantity=2, price_cents=150), build_item(quantity=1, price_cents=75)]

    order = Order.of(uuid4(), iter(items))

    assert (order.total_cents, order.items) == (375, items)


def test_a_new_order_is_pending() -> None:
    assert Order.of(uuid4(), []).status == OrderStatus.PENDING


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        (OrderStatus.PENDING, {OrderStatus.PAID, OrderStatus.CANCELLED}),
        (OrderStatus.PAID, {OrderStatus.SHIPPED, OrderStatus.CANCELLED}),
        (OrderStatus.SHIPPED, set()),
        (OrderStatus.CANCELLED, set()),
    ],
)
def test_an_order_changes_only_to_the_statuses_that_may_follow(
    status: OrderStatus, allowed: set[OrderStatus]
) -> None:
    reached = set()
    for change in (Order.pay, Order.ship, Order.cancel):
        order = Order.of(uuid4(), [])
        order.status = status
        try:
            change(order)
            reached.add(order.status)
        except IllegalTransitionError:
            assert order.status == status

    assert reached == allowed


def test_an_order_is_paid_once() -> None:
    order = Order.of(uuid4(), [])
    order.pay()

    with pytest.raises(IllegalTransitionError, match="is paid cannot become paid"):
        order.pay()
