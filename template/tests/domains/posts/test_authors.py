"""What becomes of posts when their author is deleted."""

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.purge import Purge
from app.domains.users.purge import purge_users
from app.settings import Settings
from tests.domains.posts.factories import create_post
from tests.domains.users.factories import create_deleted_user, create_user


async def test_a_deleted_author_is_no_longer_among_the_active(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    await create_post(session, author=user)
    assert str(user.id) in (await client.get("/users/activity")).text

    await client.delete(f"/users/{user.id}")

    assert str(user.id) not in (await client.get("/users/activity")).text


async def test_an_author_is_not_purged_while_the_posts_are_there(
    client: AsyncClient, session: AsyncSession
) -> None:
    users = [await create_deleted_user(session, days_ago=31) for _ in range(3)]
    await create_post(session, author=users[1])

    assert await purge_users(Settings(), days=30) == Purge(purged=2, skipped=1)

    restored = [await client.post(f"/users/{user.id}/restore") for user in users]
    assert [response.status_code for response in restored] == [404, 200, 404]
