from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import (
    BODIES,
    TEXTS,
    UNKNOWN_ID,
    assert_invalid,
    assert_problem,
    send,
    send_bytes,
)
from tests.domains.users.factories import create_user

ADA = {"email": "ada@example.com", "full_name": "Ada Lovelace"}


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize("field", ["email", "full_name"])
async def test_a_bad_text_is_invalid(
    client: AsyncClient, session: AsyncSession, field: str, value: Any
) -> None:
    user = await create_user(session)

    created = await send(client, "POST", "/users", {**ADA, field: value})
    changed = await send(client, "PATCH", f"/users/{user.id}", {field: value})

    assert_invalid(created, f"body.{field}")
    assert_invalid(changed, f"body.{field}")


@pytest.mark.parametrize(
    "email", ["s3cret", "s3cret@", "s3cret@x@y.org", f"s3cret@{'x' * 250}.org", "s3cret <a b@c.org"]
)
async def test_what_is_no_address_is_invalid(client: AsyncClient, email: str) -> None:
    assert_invalid(await send(client, "POST", "/users", {**ADA, "email": email}), "body.email")


@pytest.mark.parametrize("value", [None, "s3cret", 7, [], float("nan")])
async def test_a_switch_is_true_or_false(client: AsyncClient, value: Any) -> None:
    response = await send(client, "PATCH", f"/users/{UNKNOWN_ID}", {"is_active": value})

    assert_invalid(response, "body.is_active")


@pytest.mark.parametrize("field", ["id", "is_admin", "deleted_at", "\x00", "\ud800", "é" * 500])
async def test_an_unknown_field_is_invalid(client: AsyncClient, field: str) -> None:
    created = await send(client, "POST", "/users", {**ADA, field: "s3cret"})
    changed = await send(client, "PATCH", f"/users/{UNKNOWN_ID}", {field: "s3cret"})

    name = f"body.{field[:100].encode('ascii', 'backslashreplace').decode()}"
    assert_invalid(created, name if field != "\ud800" else "body")
    assert_invalid(changed, name if field != "\ud800" else "body")


async def test_missing_fields_are_all_named(client: AsyncClient) -> None:
    response = await client.post("/users", json={})

    fields = [error["field"] for error in response.json()["errors"]]
    assert (response.status_code, fields) == (422, ["body.email", "body.full_name"])


@pytest.mark.parametrize("content", BODIES)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/users"), ("PATCH", f"/users/{UNKNOWN_ID}")]
)
async def test_a_body_that_is_no_object_is_refused(
    client: AsyncClient, method: str, path: str, content: bytes
) -> None:
    assert_problem(await send_bytes(client, method, path, content), 400, 413, 422)


async def test_a_body_of_another_content_type_is_refused(client: AsyncClient) -> None:
    headers = {"Content-Type": "text/plain"}
    response = await client.post("/users", content=b'{"email": "s3cret@x.org"}', headers=headers)

    assert_invalid(response, "body")


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=0",
        "limit=1000000000",
        "limit=9223372036854775808",
        "limit=s3cret",
        "limit=NaN",
        "limit=%00",
        "limit=",
        "after=s3cret",
        "after=%00",
        "after=%ED%A0%80",
        "after=%FF",
        "after=",
    ],
)
async def test_a_bad_parameter_is_invalid(client: AsyncClient, query: str) -> None:
    response = await client.get(f"/users?{query}")

    assert_invalid(response, f"query.{query.partition('=')[0]}")


@pytest.mark.parametrize(
    "id", ["s3cret", "%00", "%ED%A0%80", "1", f"{UNKNOWN_ID}s3cret", "%FF" * 9]
)
async def test_what_is_no_id_is_invalid(client: AsyncClient, id: str) -> None:
    assert_invalid(await client.get(f"/users/{id}"), "path.user_id")
    assert_invalid(await client.delete(f"/users/{id}"), "path.user_id")
    assert_invalid(await client.post(f"/users/{id}/restore"), "path.user_id")


@pytest.mark.parametrize("name", ["s3cret!", "%00", "%ED%A0%80", "-", "é", "s3cret" * 9, "a%0Ab"])
async def test_what_is_no_name_of_a_role_is_invalid(client: AsyncClient, name: str) -> None:
    path = f"/users/{UNKNOWN_ID}/roles/{name}"

    assert_invalid(await client.put(path), "path.name")
    assert_invalid(await client.delete(path), "path.name")
