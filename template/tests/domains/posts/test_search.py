import asyncio
import json
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core.commands import command_line
from tests.conftest import CountStatements
from tests.domains.posts.factories import create_post
from tests.domains.users.factories import create_user


async def find_titles(client: AsyncClient, **parameters: Any) -> list[str]:
    response = await client.get("/posts", params=parameters)
    assert response.status_code == 200, response.text
    return [post["title"] for post in response.json()["items"]]


async def test_a_text_is_found_in_title_and_body(
    client: AsyncClient, session: AsyncSession
) -> None:
    await create_post(session, title="Engines", body="They weave.")
    await create_post(session, title="Looms", body="Not quite engines.")
    await create_post(session, title="Numbers", body="Bernoulli's.")

    assert await find_titles(client, query="engine") == ["Engines", "Looms"]


@pytest.mark.parametrize("query", ["étude", "ÉTUDE", "Étude", " étude "])
async def test_a_text_is_found_in_any_case_of_any_letter(
    client: AsyncClient, session: AsyncSession, query: str
) -> None:
    await create_post(session, title="Études")
    await create_post(session, title="Etudes")

    assert await find_titles(client, query=query) == ["Études"]


@pytest.mark.parametrize("character", ["%", "_", "/", "\\", "'", '"', ":", "?", "🦊"])
async def test_a_special_character_is_found_as_itself(
    client: AsyncClient, session: AsyncSession, character: str
) -> None:
    await create_post(session, title="100")
    await create_post(session, title=f"100{character}5")

    assert await find_titles(client, query=character) == [f"100{character}5"]


async def test_filters_are_all_applied(client: AsyncClient, session: AsyncSession) -> None:
    ada, grace = await create_user(session), await create_user(session)
    await create_post(session, title="1", author=ada, tags=["math"], is_pinned=True)
    await create_post(session, title="2", author=ada, tags=["math", "logic"])
    await create_post(session, title="3", author=grace, tags=["math"], is_pinned=True)
    await create_post(session, title="4", author=grace)

    assert await find_titles(client, author_id=ada.id) == ["1", "2"]
    assert await find_titles(client, tag="math") == ["1", "2", "3"]
    assert await find_titles(client, tag="Math") == ["1", "2", "3"]
    assert await find_titles(client, pinned=True) == ["1", "3"]
    assert await find_titles(client, pinned=False) == ["2", "4"]
    assert await find_titles(client, author_id=grace.id, tag="math", pinned=True) == ["3"]
    assert await find_titles(client, query="2", tag="logic", author_id=ada.id) == ["2"]
    assert await find_titles(client, tag="physics") == []


async def test_a_post_found_by_one_tag_is_shown_with_all(
    client: AsyncClient, session: AsyncSession
) -> None:
    await create_post(session, tags=["math", "logic"])

    page = (await client.get("/posts?tag=math")).json()

    assert [tag["name"] for tag in page["items"][0]["tags"]] == ["logic", "math"]


async def test_pages_have_each_post_exactly_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    author = await create_user(session)
    expected = [
        str((await create_post(session, author=author, tags=["math", "logic"])).id)
        for _ in range(5)
    ]

    pages = [(await client.get(f"/posts?page={page}&size=2")).json() for page in (1, 2, 3, 4)]

    assert [post["id"] for page in pages for post in page["items"]] == expected
    assert [(page["total"], page["page"], page["size"]) for page in pages] == [
        (5, 1, 2),
        (5, 2, 2),
        (5, 3, 2),
        (5, 4, 2),
    ]


async def test_the_total_counts_what_matches(client: AsyncClient, session: AsyncSession) -> None:
    for title in ("Engine 1", "Engine 2", "Loom"):
        await create_post(session, title=title)

    page = (await client.get("/posts?query=engine&size=1")).json()

    assert (page["total"], len(page["items"])) == (2, 1)


async def test_without_posts_the_page_is_empty(client: AsyncClient) -> None:
    page = (await client.get("/posts")).json()

    assert page == {"items": [], "total": 0, "page": 1, "size": 20}


async def test_pinned_posts_are_found_by_their_index(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    """By the plan of the database, as for a large table."""
    author = await create_user(session)
    for number in range(20):
        await create_post(session, author=author, is_pinned=number == 10)

    async with count_statements() as statements:
        await find_titles(client, pinned=True)
    search = next(each for each in statements if "is_pinned = true" in each)
    line = {"route": "GET /posts", "request": "1", "statement": search}
    line["parameters"] = "(20, 20)"  # the limit and the offset, in either order
    words = ["db", "analyze", "-", "--assume-large", "--json"]
    result = await asyncio.to_thread(
        CliRunner().invoke, command_line, words, input=json.dumps(line)
    )

    report = json.loads(result.stdout)
    assert report["explained"] == 1
    assert "ix_posts_pinned" not in report["unused_indexes"]
    assert [each for each in report["findings"] if each["routes"]] == []
