"""The JSON that L1 and `common` validate and serve: the service's."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Health(Model):
    status: str


class UserCreate(Model):
    email: str
    full_name: str


class Record(Model):
    id: UUID
    created_at: datetime
    updated_at: datetime


class UserRead(Record):
    email: str
    full_name: str
    is_active: bool


class OrderRead(Record):
    status: str
    total_cents: int


class UserWithOrders(UserRead):
    orders: list[OrderRead]


class UserPage(Model):
    items: list[UserRead]
    next: UUID | None


class AuthorRead(Model):
    id: UUID
    full_name: str


class TagRead(Model):
    id: UUID
    name: str


class PostRead(Record):
    title: str
    body: str
    is_pinned: bool
    author: AuthorRead | None
    tags: list[TagRead]


class PostPage(Model):
    items: list[PostRead]
    total: int
    page: int
    size: int
