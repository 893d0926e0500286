from collections.abc import Collection, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, case, func, literal_column, or_, select

from app.core.bulk import upsert_rows
from app.core.pagination import Page, read_page_of
from app.core.reads import escape_like
from app.core.repository import Repository
from app.domains.posts.models import Post, Tag, post_tags
from app.domains.posts.schemas import PostRead
from app.domains.users.models import User

FILTERS = {
    "text": or_(
        Post.title.icontains(bindparam("text"), escape="/"),
        Post.body.icontains(bindparam("text"), escape="/"),
    ),
    "author_id": Post.author_id == bindparam("author_id"),
    "tag": Post.tags.any(Tag.name == bindparam("tag")),
    # No parameter: a partial index serves only queries that have its condition.
    "pinned": Post.is_pinned == literal_column("true"),
    "unpinned": Post.is_pinned == literal_column("false"),
}
RANKED = select(
    Post.id,
    func.row_number().over(partition_by=Post.author_id, order_by=Post.id.desc()).label("number"),
).subquery()
LATEST_POSTS = (
    select(Post)
    .join(RANKED, RANKED.c.id == Post.id)
    .where(RANKED.c.number <= bindparam("per_author"))
    .order_by(Post.id.desc())
    .limit(bindparam("limit"))
)


@cache
def select_posts(*filters: str) -> Select[Post]:
    """Return the same query for the same filters: it is compiled once for each combination."""
    return select(Post).where(*(FILTERS[name] for name in filters)).order_by(Post.id)


class PostRepository(Repository[Post]):
    model = Post

    async def search(
        self,
        *,
        text: str | None,
        author_id: UUID | None,
        tag: str | None,
        pinned: bool | None,
        page: int,
        size: int,
    ) -> Page[PostRead]:
        """Return posts that match all given filters, with author and tags, oldest first."""
        filters = {"text": text and escape_like(text), "author_id": author_id, "tag": tag}
        given = {name: value for name, value in filters.items() if value is not None}
        by_state = [] if pinned is None else ["pinned" if pinned else "unpinned"]
        query = select_posts(*given, *by_state)
        return await read_page_of(self.session, query, PostRead, page=page, size=size, **given)

    async def list_latest(self, *, per_author: int, limit: int) -> list[PostRead]:
        """Return the newest posts, at most `per_author` of each author."""
        return await self.read_all(LATEST_POSTS, PostRead, per_author=per_author, limit=limit)

    async def count_all(self) -> Row[Any]:
        """Count posts and authors, and the authors with more posts than the average."""
        counts = select(func.count().label("posts")).select_from(Post).group_by(Post.author_id)
        counted = counts.subquery()
        average = func.avg(counted.c.posts).over().label("average")
        compared = select(counted.c.posts, average).subquery()
        above = case((compared.c.posts > compared.c.average, 1), else_=0)
        query = select(
            func.coalesce(func.sum(compared.c.posts), 0).label("posts"),
            func.count().label("authors"),
            func.coalesce(func.max(compared.c.average), 0).label("posts_per_author"),
            func.coalesce(func.sum(above), 0).label("authors_above_average"),
        ).select_from(compared)
        return (await self.session.execute(query)).one()

    async def count_by_tag(self, *, at_least: int, limit: int) -> Sequence[Row[str, int]]:
        """Return the tags of at least `at_least` posts, most used first."""
        posts = func.count(post_tags.c.post_id)
        query = (
            select(Tag.name, posts.label("posts"))
            .join(post_tags, post_tags.c.tag_id == Tag.id)
            .group_by(Tag.name)
            .having(posts >= at_least)
            .order_by(posts.desc(), Tag.name)
            .limit(limit)
        )
        return (await self.session.execute(query)).all()

    async def count_by_user(self, *, limit: int) -> Sequence[Row[Any]]:
        """Return the users with the number of their posts, most active first."""
        posts = (
            select(func.count(Post.id))
            .where(Post.author_id == User.id)
            .correlate(User)
            .scalar_subquery()
            .label("posts")
        )
        query = (
            select(User.id.label("user_id"), User.full_name, posts)
            .order_by(posts.desc(), User.id)
            .limit(limit)
        )
        return (await self.session.execute(query)).all()


class TagRepository(Repository[Tag]):
    model = Tag

    async def get_or_create(self, names: Collection[str]) -> Sequence[Tag]:
        """Return the tags with these names. Two requests may create the same one concurrently."""
        rows = [{"name": name} for name in names]
        await upsert_rows(self.session, Tag, rows, key=["name"], update=[])
        query = select(Tag).where(Tag.name.in_(names)).order_by(Tag.name)
        return (await self.session.scalars(query)).all()
