import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import CountStatements
from tests.core.hostile import UNKNOWN_ID, assert_documented, assert_problem
from tests.domains.posts.factories import create_post
from tests.domains.users.factories import create_deleted_user, create_user


def build_post(author_id: object, **values: Any) -> dict[str, Any]:
    return {"title": "On engines", "body": "They weave.", "author_id": str(author_id), **values}


async def test_a_post_that_was_published_can_be_read(
    client: AsyncClient, session: AsyncSession
) -> None:
    author = await create_user(session, full_name="Ada Lovelace")

    published = await client.post("/posts", json=build_post(author.id, tags=["math", "engine"]))

    assert published.status_code == 201
    post = published.json()
    assert post == {
        "id": post["id"],
        "title": "On engines",
        "body": "They weave.",
        "is_pinned": False,
        "author": {"id": str(author.id), "full_name": "Ada Lovelace"},
        "tags": [
            {"id": post["tags"][0]["id"], "name": "engine"},
            {"id": post["tags"][1]["id"], "name": "math"},
        ],
        "created_at": post["created_at"],
        "updated_at": post["updated_at"],
    }
    assert (await client.get(f"/posts/{post['id']}")).json() == post


async def test_a_post_needs_no_tags(client: AsyncClient, session: AsyncSession) -> None:
    author = await create_user(session)

    response = await client.post("/posts", json=build_post(author.id, is_pinned=True))

    post = response.json()
    assert (response.status_code, post["tags"], post["is_pinned"]) == (201, [], True)


async def test_a_tag_is_the_same_in_any_case_and_given_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    post = await create_post(session, tags=["math"])
    data = build_post(post.author_id, tags=["Math", " math ", "MATH"])

    published = (await client.post("/posts", json=data)).json()

    assert published["tags"] == [{"id": str(post.tags[0].id), "name": "math"}]


@pytest.mark.parametrize("deleted", [False, True])
async def test_an_author_who_does_not_exist_is_a_conflict(
    client: AsyncClient, session: AsyncSession, deleted: bool
) -> None:
    author_id = (await create_deleted_user(session)).id if deleted else UNKNOWN_ID

    response = await client.post("/posts", json=build_post(author_id, tags=["math"]))

    assert_problem(response, 409)


async def test_posts_with_the_same_new_tags_are_published_at_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    author = await create_user(session)
    names = ["algebra", "calculus", "geometry", "logic", "topology"]
    lists = [names[start:] + names[:start] for start in range(5)] + [names[::-1]] * 5

    responses = await asyncio.gather(
        *(client.post("/posts", json=build_post(author.id, tags=tags)) for tags in lists)
    )

    assert [response.status_code for response in responses] == [201] * 10
    assert len({str(response.json()["tags"]) for response in responses}) == 1


async def test_the_author_of_a_post_is_null_once_deleted(
    client: AsyncClient, session: AsyncSession
) -> None:
    post = await create_post(session)
    await client.delete(f"/users/{post.author_id}")

    read = [
        (await client.get(f"/posts/{post.id}")).json(),
        *(await client.get("/posts")).json()["items"],
        *(await client.get("/posts/latest")).json(),
    ]

    assert [each["author"] for each in read] == [None, None, None]


async def test_an_unknown_post_is_not_found(client: AsyncClient) -> None:
    assert_problem(await client.get(f"/posts/{UNKNOWN_ID}"), 404)


@pytest.mark.parametrize("path", ["/posts?size=50", "/posts/latest?limit=50"])
async def test_a_list_takes_as_many_statements_for_one_post_as_for_many(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements, path: str
) -> None:
    await create_post(session, tags=["math"])
    async with count_statements() as for_one:
        await client.get(path)
    for number in range(5):
        await create_post(session, tags=["math", f"tag-{number}"])

    async with count_statements() as for_many:
        response = await client.get(path)

    assert response.text.count('"title"') == 6
    assert len(for_many) == len(for_one) <= 3


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("POST", "/posts", [400, 409, 413, 422]),
        ("GET", "/posts", [422]),
        ("GET", "/posts/latest", [422]),
        ("GET", "/posts/statistics", [422]),
        ("GET", "/posts/{post_id}", [404, 422]),
        ("GET", "/users/activity", [422]),
    ],
)
async def test_errors_are_documented(
    app: FastAPI, method: str, path: str, statuses: list[int]
) -> None:
    assert_documented(app.openapi(), method, path, *statuses)
