from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy import Row

from app.core.concurrency import fetch_together
from app.core.database import DatabaseDep, ReadSessionDep, SessionDep
from app.core.idempotency import OnceDep
from app.core.pagination import Limit, Page, PageNumber, PageRead, PageSize
from app.core.responses import problems
from app.core.schemas import PlainText, Slug
from app.domains.posts.models import Post
from app.domains.posts.repository import PostRepository
from app.domains.posts.schemas import PostCreate, PostRead, PostStatistics, UserActivity
from app.domains.posts.service import PostService

router = APIRouter(tags=["posts"])


@router.post("/posts", status_code=201, response_model=PostRead, responses=problems(409))
async def publish_post(data: PostCreate, session: SessionDep, once: OnceDep) -> Post | Response:
    return await once(session, PostService(session).publish(data))


@router.get("/posts", response_model=PageRead[PostRead])
async def search_posts(
    session: ReadSessionDep,
    query: Annotated[PlainText | None, Query(min_length=1, max_length=100)] = None,
    author_id: UUID | None = None,
    tag: Slug | None = None,
    pinned: bool | None = None,
    page: PageNumber = 1,
    size: PageSize = 20,
) -> Page[PostRead]:
    return await PostRepository(session).search(
        text=query, author_id=author_id, tag=tag, pinned=pinned, page=page, size=size
    )


@router.get("/posts/latest")
async def list_latest_posts(
    session: ReadSessionDep,
    per_author: Annotated[int, Query(ge=1, le=20)] = 3,
    limit: Limit = 50,
) -> list[PostRead]:
    return await PostRepository(session).list_latest(per_author=per_author, limit=limit)


@router.get("/posts/statistics", response_model=PostStatistics)
async def read_statistics(
    database: DatabaseDep, min_posts: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> dict[str, Any]:
    totals, tags = await fetch_together(
        database,
        lambda session: PostRepository(session).count_all(),
        lambda session: PostRepository(session).count_by_tag(at_least=min_posts, limit=20),
    )
    return {"totals": totals, "tags": tags}


@router.get("/posts/{post_id}", responses=problems(404))
async def read_post(post_id: UUID, session: ReadSessionDep) -> PostRead:
    return await PostRepository(session).read(post_id, PostRead)


@router.get("/users/activity", response_model=list[UserActivity])
async def list_activity(session: ReadSessionDep, limit: Limit = 20) -> Sequence[Row[Any]]:
    return await PostRepository(session).count_by_user(limit=limit)
