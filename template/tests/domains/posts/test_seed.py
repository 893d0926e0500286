import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload
from typer.testing import CliRunner

from app.core.commands import command_line
from app.core.database import Database
from app.domains.posts.models import Post


def seed() -> None:
    result = CliRunner().invoke(command_line, ["db", "seed", "--users", "50"])
    assert result.exit_code == 0, result.output


async def test_seeded_posts_are_newer_than_their_authors(
    database: Database, session: AsyncSession
) -> None:
    await asyncio.to_thread(seed)

    query = select(Post).options(joinedload(Post.author)).order_by(Post.id)
    posts = (await session.scalars(query.execution_options(with_deleted=True))).all()
    assert len(posts) == 150
    assert all(post.author and post.author.created_at <= post.created_at for post in posts)
