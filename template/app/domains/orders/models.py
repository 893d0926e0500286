from collections.abc import Iterable
from typing import Protocol, Self
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from app.core.errors import ConflictError
from app.core.models import Cents, Choice, Name, Record


class OrderStatus(Choice):
    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


NEXT_STATUSES = {
    OrderStatus.PENDING: (OrderStatus.PAID, OrderStatus.CANCELLED),
    OrderStatus.PAID: (OrderStatus.SHIPPED, OrderStatus.CANCELLED),
    OrderStatus.SHIPPED: (),
    OrderStatus.CANCELLED: (),
}


class IllegalTransitionError(ConflictError):
    problem_type = "urn:problem:illegal-transition"


class OrderItem(Record):
    __tablename__ = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("price_cents >= 0", name="price"),
    )

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    name: Mapped[Name]
    quantity: Mapped[int]
    price_cents: Mapped[Cents]

    order: Mapped["Order"] = relationship(back_populates="items", lazy="raise")


class Priced(Protocol):
    @property
    def quantity(self) -> int: ...
    @property
    def price_cents(self) -> int: ...


def total_of(items: Iterable[Priced]) -> int:
    return sum(item.quantity * item.price_cents for item in items)


class StatusChange(Record):
    """A new status of an order, and when it was set (`created_at`)."""

    __tablename__ = "status_changes"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    status: Mapped[OrderStatus]


class Order(Record):
    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total_cents >= 0", name="total"),
        Index("ix_orders_user_id_id", "user_id", "id"),  # a user's orders, newest first
        Index("ix_orders_total_cents_id", "total_cents", "id"),  # all orders, largest first
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    status: Mapped[OrderStatus] = mapped_column(
        default=OrderStatus.PENDING, server_default="pending"
    )
    total_cents: Mapped[Cents]

    items: Mapped[list[OrderItem]] = relationship(
        back_populates="order",
        cascade="all, delete-orphan",
        lazy="raise",
        order_by=OrderItem.id,
        passive_deletes=True,
    )
    # It grows without limit, so it is only queried and never loaded as a whole.
    history: WriteOnlyMapped[StatusChange] = relationship(
        cascade="all, delete-orphan", order_by=StatusChange.id, passive_deletes=True
    )

    @classmethod
    def of(cls, user_id: UUID, items: Iterable[OrderItem]) -> Self:
        """Return a new order with the total of its items."""
        items = list(items)
        return cls(
            user_id=user_id, total_cents=total_of(items), items=items, status=OrderStatus.PENDING
        )

    def pay(self) -> None:
        self.change_status(OrderStatus.PAID)

    def ship(self) -> None:
        self.change_status(OrderStatus.SHIPPED)

    def cancel(self) -> None:
        self.change_status(OrderStatus.CANCELLED)

    def change_status(self, status: OrderStatus) -> None:
        """Set the status and add it to the history, or raise `IllegalTransitionError`."""
        if status not in NEXT_STATUSES[self.status]:
            raise IllegalTransitionError(f"An order that is {self.status} cannot become {status}.")
        self.status = status
        self.history.add(StatusChange(status=status))
