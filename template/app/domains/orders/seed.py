"""Orders for `app db seed`: two for each user, with their items and their history."""

from datetime import timedelta

from app.core.seeds import Rows, Seed, SeedContext
from app.domains.orders.models import Order, OrderItem, OrderStatus, StatusChange, total_of

PRICES = {  # in cents
    "Coffee, 1 kg": 1890,
    "Desk lamp": 4995,
    "Headphones": 12900,
    "Keyboard": 8450,
    "Mouse": 2999,
    "Notebook, A5": 450,
    "Office chair": 24900,
    "Screen, 27 inch": 31900,
    "Tea, 100 g": 790,
    "Water bottle": 1650,
}
HISTORIES = (
    (),
    (OrderStatus.CANCELLED,),
    (OrderStatus.PAID,),
    (OrderStatus.PAID, OrderStatus.CANCELLED),
    (OrderStatus.PAID, OrderStatus.SHIPPED),
)
FREQUENCIES = (10, 5, 15, 5, 65)


def rows(context: SeedContext) -> Rows:
    random, order_id, at = context.random, context.next_id(), context.created_at
    items = [
        OrderItem(name=name, price_cents=PRICES[name], quantity=random.randrange(1, 4))
        for name in random.sample(list(PRICES), random.randrange(1, 5))
    ]
    (history,) = random.choices(HISTORIES, FREQUENCIES)
    changes = [(status, at + timedelta(hours=7 * (day + 1))) for day, status in enumerate(history)]
    yield (
        Order,
        {
            "id": order_id,
            "user_id": context.earlier("users"),
            "status": history[-1] if history else OrderStatus.PENDING,
            "total_cents": total_of(items),
            "created_at": at,
            "updated_at": changes[-1][1] if changes else at,
        },
    )
    for item in items:
        yield (
            OrderItem,
            {
                "id": context.next_id(),
                "order_id": order_id,
                "name": item.name,
                "quantity": item.quantity,
                "price_cents": item.price_cents,
                "created_at": at,
                "updated_at": at,
            },
        )
    for status, changed_at in changes:
        yield (
            StatusChange,
            {
                "id": context.next_id(),
                "order_id": order_id,
                "status": status,
                "created_at": changed_at,
                "updated_at": changed_at,
            },
        )


seed = Seed(models=(Order, OrderItem, StatusChange), rows=rows, count=2, per="users")
