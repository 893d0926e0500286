from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import Cents, Name, Read, RecordRead, Request
from app.domains.orders.models import OrderStatus


class OrderItemCreate(Request):
    name: Name
    quantity: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    price_cents: Annotated[Cents, Field(le=1_000_000_000)]


class OrderCreate(Request):
    user_id: UUID
    items: Annotated[list[OrderItemCreate], Field(min_length=1, max_length=100)]


class OrderItemRead(RecordRead):
    name: str
    quantity: int
    price_cents: int


class OrderSummary(RecordRead):
    status: OrderStatus
    total_cents: int


class OrderLine(OrderSummary):
    user_id: UUID


class OrderRead(OrderLine):
    items: list[OrderItemRead]


class StatusChangeRead(RecordRead):
    status: OrderStatus


class StatusUpdate(Request):
    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    status: OrderStatus


class Updated(Read):
    updated: int


class RejectedLine(Read):
    line: int = Field(description="Counted from 1.")
    reason: str


class ImportRead(Read):
    inserted: int
    rejected: list[RejectedLine]


class StatusTotal(Read):
    status: OrderStatus
    orders: int
    total_cents: int


class CustomerRead(RecordRead):
    email: str
    full_name: str
    is_active: bool


class Dashboard(Read):
    user: CustomerRead
    latest_orders: list[OrderSummary]
    totals: list[StatusTotal]


class CustomerWithOrders(CustomerRead):
    orders: list[OrderSummary]
