from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, case, func, or_, select
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from app.core.bulk import upsert_rows
from app.core.pagination import Page, read_page
from app.core.repository import Repository
from app.domains.posts.models import Post, Tag, post_tags
from app.domains.users.models import User

# joinedload for the author of a post; selectinload, one more statement, for its tags.
FULL: Sequence[ORMOption] = (joinedload(Post.author), selectinload(Post.tags))


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
    ) -> Page[Post]:
        """Return posts that match all given filters, with author and tags, oldest first."""
        query = select(Post).order_by(Post.id)
        if text is not None:  # autoescape: % is not a wildcard
            found = (column.icontains(text, autoescape=True) for column in (Post.title, Post.body))
            query = query.where(or_(*found))
        if author_id is not None:
            query = query.where(Post.author_id == author_id)
        if tag is not None:
            query = query.where(Post.tags.any(Tag.name == tag))
        if pinned is not None:
            query = query.where(Post.is_pinned == pinned)
        return await read_page(self.session, query, *FULL, page=page, size=size)

    async def list_latest(self, *, per_author: int, limit: int) -> Sequence[Post]:
        """Return the newest posts, at most `per_author` of each author."""
        number = func.row_number().over(partition_by=Post.author_id, order_by=Post.id.desc())
        ranked = select(Post.id, number.label("number")).subquery()
        query = (
            select(Post)
            .join(ranked, ranked.c.id == Post.id)
            .where(ranked.c.number <= per_author)
            .order_by(Post.id.desc())
            .limit(limit)
        )
        return (await self.session.scalars(query.options(*FULL))).unique().all()

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
