from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import Label, LongText, Name, Read, RecordRead, Request


class PostCreate(Request):
    title: Name
    body: LongText
    author_id: UUID
    tags: Annotated[list[Label], Field(max_length=20)] = []
    is_pinned: Annotated[bool, Field(strict=True)] = False


class AuthorRead(Read):
    id: UUID
    full_name: str


class TagRead(Read):
    id: UUID
    name: str


class PostRead(RecordRead):
    title: str
    body: str
    is_pinned: bool
    author: AuthorRead | None = Field(description="Null if the author was deleted.")
    tags: list[TagRead]


class TagCount(Read):
    name: str
    posts: int


class Totals(Read):
    posts: int
    authors: int
    posts_per_author: float
    authors_above_average: int


class PostStatistics(Read):
    totals: Totals
    tags: list[TagCount]


class UserActivity(Read):
    user_id: UUID
    full_name: str
    posts: int
