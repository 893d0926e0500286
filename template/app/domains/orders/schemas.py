from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import Cents, Name, RecordRead, RequestModel, ResponseModel
from app.domains.orders.models import OrderStatus


class OrderItemCreate(RequestModel):
    name: Name
    quantity: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    price_cents: Annotated[Cents, Field(le=1_000_000_000)]


class OrderCreate(RequestModel):
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


class StatusUpdate(RequestModel):
    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    status: OrderStatus


class Updated(ResponseModel):
    updated: int


class RejectedLine(ResponseModel):
    line: int = Field(description="Counted from 1.")
    reason: str


class ImportRead(ResponseModel):
    inserted: int
    rejected: list[RejectedLine] = Field(description="The first hundred.")
    rejected_count: int


class StatusTotal(ResponseModel):
    status: OrderStatus
    orders: int
    total_cents: int


class CustomerRead(RecordRead):
    email: str
    full_name: str
    is_active: bool


class Dashboard(ResponseModel):
    user: CustomerRead
    latest_orders: list[OrderSummary]
    totals: list[StatusTotal]


class CustomerWithOrders(CustomerRead):
    orders: list[OrderSummary]
