from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import (
    BODIES,
    IDS,
    TEXTS,
    UNKNOWN_ID,
    assert_invalid,
    assert_problem,
    send,
    send_bytes,
)
from tests.domains.posts.factories import create_post

POST = {"title": "On engines", "body": "They weave.", "author_id": UNKNOWN_ID}


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize("field", ["title", "body"])
async def test_a_bad_text_is_invalid(client: AsyncClient, field: str, value: Any) -> None:
    assert_invalid(await send(client, "POST", "/posts", {**POST, field: value}), f"body.{field}")


@pytest.mark.parametrize("value", [*TEXTS, "s3cret!", "-", "a b", "é"])
async def test_a_bad_tag_is_invalid(client: AsyncClient, value: Any) -> None:
    response = await send(client, "POST", "/posts", {**POST, "tags": ["math", value]})

    assert_invalid(response, "body.tags.1")


@pytest.mark.parametrize("value", IDS)
async def test_a_bad_author_is_invalid(client: AsyncClient, value: Any) -> None:
    response = await send(client, "POST", "/posts", {**POST, "author_id": value})

    assert_invalid(response, "body.author_id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tags", ["math"] * 21),
        ("tags", None),
        ("tags", "s3cret"),
        ("is_pinned", None),
        ("is_pinned", "s3cret"),
        ("id", UNKNOWN_ID),
        ("author", {"full_name": "s3cret"}),
    ],
)
async def test_another_bad_field_is_invalid(client: AsyncClient, field: str, value: Any) -> None:
    assert_invalid(await send(client, "POST", "/posts", {**POST, field: value}), f"body.{field}")


async def test_missing_fields_are_all_named(client: AsyncClient) -> None:
    response = await client.post("/posts", json={})

    assert_invalid(response, "body.title", "body.body", "body.author_id")
    assert len(response.json()["errors"]) == 3


@pytest.mark.parametrize("content", BODIES)
async def test_a_body_that_is_no_object_is_refused(client: AsyncClient, content: bytes) -> None:
    assert_problem(await send_bytes(client, "POST", "/posts", content), 400, 413, 422)


@pytest.mark.parametrize(
    "query",
    [
        "query=",
        "query=%20",
        "query=s3cret%00",
        f"query={'s3cret' * 20}",
        "author_id=s3cret",
        "author_id=%00",
        "tag=s3cret!",
        "tag=%00",
        "tag=",
        f"tag={'s3cret' * 20}",
        "pinned=s3cret",
        "pinned=",
        "page=0",
        "page=-1",
        "page=10001",
        "page=4611686018427387904",
        "page=s3cret",
        "size=0",
        "size=-1",
        "size=101",
        "size=1000000000",
        "size=9223372036854775808",
        "size=1.5",
    ],
)
async def test_a_bad_parameter_of_the_search_is_invalid(client: AsyncClient, query: str) -> None:
    assert_invalid(await client.get(f"/posts?{query}"), f"query.{query.partition('=')[0]}")


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/posts/latest", "per_author"),
        ("/posts/latest", "limit"),
        ("/posts/statistics", "min_posts"),
        ("/users/activity", "limit"),
    ],
)
@pytest.mark.parametrize(
    "value", ["0", "-1", "1000001", "10000000000000000000000", "s3cret", "%00"]
)
async def test_a_bad_number_is_invalid(
    client: AsyncClient, path: str, parameter: str, value: str
) -> None:
    assert_invalid(await client.get(f"{path}?{parameter}={value}"), f"query.{parameter}")


@pytest.mark.parametrize("query", ["%FF", "%ED%A0%80", "%25"])
async def test_a_query_in_another_encoding_finds_nothing(
    client: AsyncClient, session: AsyncSession, query: str
) -> None:
    await create_post(session)

    response = await client.get(f"/posts?query={query}")

    assert (response.status_code, response.json()["items"]) == (200, [])


async def test_what_is_no_id_is_invalid(client: AsyncClient) -> None:
    for post_id in ("s3cret", "%00", "%ED%A0%80"):
        assert_invalid(await client.get(f"/posts/{post_id}"), "path.post_id")
