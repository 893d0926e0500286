from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.domains.posts.factories import create_post
from tests.domains.users.factories import create_user


async def test_the_latest_posts_are_a_few_of_each_author(
    client: AsyncClient, session: AsyncSession
) -> None:
    ada, grace = await create_user(session), await create_user(session)
    for title, author in [("1", ada), ("2", ada), ("3", grace), ("4", ada), ("5", ada)]:
        await create_post(session, title=title, author=author, tags=["math", "logic"])

    two = (await client.get("/posts/latest?per_author=2")).json()
    default = (await client.get("/posts/latest")).json()
    limited = (await client.get("/posts/latest?limit=1")).json()

    assert [post["title"] for post in two] == ["5", "4", "3"]
    assert [post["title"] for post in default] == ["5", "4", "3", "2"]
    assert [post["title"] for post in limited] == ["5"]
    assert {post["author"]["id"] for post in two} == {str(ada.id), str(grace.id)}


async def test_statistics_count_posts_authors_and_tags(
    client: AsyncClient, session: AsyncSession
) -> None:
    ada, grace = await create_user(session), await create_user(session)
    for author, tags in [(ada, ["math", "logic"]), (ada, ["math"]), (ada, []), (grace, ["loom"])]:
        await create_post(session, author=author, tags=tags)

    statistics = (await client.get("/posts/statistics")).json()

    assert statistics == {
        "totals": {"posts": 4, "authors": 2, "posts_per_author": 2.0, "authors_above_average": 1},
        "tags": [
            {"name": "math", "posts": 2},
            {"name": "logic", "posts": 1},
            {"name": "loom", "posts": 1},
        ],
    }


async def test_an_average_has_a_fraction(client: AsyncClient, session: AsyncSession) -> None:
    post = await create_post(session)
    author = await create_user(session)
    for _ in range(2):
        await create_post(session, author=author)

    totals = (await client.get("/posts/statistics")).json()["totals"]

    assert totals["posts_per_author"] == 1.5
    assert post.author_id != author.id


async def test_statistics_leave_out_rare_tags(client: AsyncClient, session: AsyncSession) -> None:
    await create_post(session, tags=["math", "logic"])
    await create_post(session, tags=["math"])

    statistics = (await client.get("/posts/statistics?min_posts=2")).json()

    assert statistics["tags"] == [{"name": "math", "posts": 2}]


async def test_statistics_of_nothing_are_zero(client: AsyncClient) -> None:
    statistics = (await client.get("/posts/statistics")).json()

    totals = {"posts": 0, "authors": 0, "posts_per_author": 0.0, "authors_above_average": 0}
    assert statistics == {"totals": totals, "tags": []}


async def test_activity_lists_the_most_active_users_first(
    client: AsyncClient, session: AsyncSession
) -> None:
    names = ["Ada", "Grace", "Emmy"]
    users = [await create_user(session, full_name=name) for name in names]
    for author in (users[1], users[1], users[2]):
        await create_post(session, author=author)

    activity = (await client.get("/users/activity")).json()
    limited = (await client.get("/users/activity?limit=1")).json()

    assert activity == [
        {"user_id": str(users[1].id), "full_name": "Grace", "posts": 2},
        {"user_id": str(users[2].id), "full_name": "Emmy", "posts": 1},
        {"user_id": str(users[0].id), "full_name": "Ada", "posts": 0},
    ]
    assert limited == activity[:1]
