from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.posts.models import Post
from app.domains.posts.repository import TagRepository
from app.domains.users.models import User
from tests.domains.users.factories import create_user


async def create_post(
    session: AsyncSession, *, author: User | None = None, tags: Collection[str] = (), **values: Any
) -> Post:
    author = author or await create_user(session)
    post = Post(**{"title": "On engines", "body": "They weave.", "author_id": author.id, **values})
    post.tags = list(await TagRepository(session).get_or_create(tags))
    session.add(post)
    await session.commit()
    return post
