from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import LongText, Name, RecordRead, RequestModel, ResponseModel, Slug


class PostCreate(RequestModel):
    title: Name
    body: LongText
    author_id: UUID
    tags: Annotated[list[Slug], Field(max_length=20)] = []
    is_pinned: Annotated[bool, Field(strict=True)] = False


class AuthorRead(ResponseModel):
    id: UUID
    full_name: str


class TagRead(ResponseModel):
    id: UUID
    name: str


class PostRead(RecordRead):
    title: str
    body: str
    is_pinned: bool
    author: AuthorRead | None = Field(description="Null if the author was deleted.")
    tags: list[TagRead]


class TagCount(ResponseModel):
    name: str
    posts: int


class Totals(ResponseModel):
    posts: int
    authors: int
    posts_per_author: float
    authors_above_average: int


class PostStatistics(ResponseModel):
    totals: Totals
    tags: list[TagCount]


class UserActivity(ResponseModel):
    user_id: UUID
    full_name: str
    posts: int
