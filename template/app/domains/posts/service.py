from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.posts.models import Post
from app.domains.posts.repository import PostRepository, TagRepository
from app.domains.posts.schemas import PostCreate
from app.domains.users.repository import UserRepository


class PostService:
    def __init__(self, session: AsyncSession) -> None:
        self.posts = PostRepository(session)
        self.tags = TagRepository(session)
        self.users = UserRepository(session)

    async def publish(self, data: PostCreate) -> Post:
        post = Post(**data.model_dump(exclude={"author_id", "tags"}))
        post.author = await self.users.get_referenced(data.author_id)
        post.tags = list(await self.tags.get_or_create(set(data.tags)))
        return await self.posts.add(post)
