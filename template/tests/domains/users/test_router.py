import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import UNKNOWN_ID, assert_documented, assert_problem
from tests.domains.users.factories import create_deleted_user, create_user

ADA = {"email": "ada@example.com", "full_name": "Ada Lovelace"}


async def test_a_user_that_was_created_can_be_read(client: AsyncClient) -> None:
    created = await client.post("/users", json=ADA)

    assert created.status_code == 201
    user = created.json()
    assert user == {
        "id": user["id"],
        "email": "ada@example.com",
        "full_name": "Ada Lovelace",
        "is_active": True,
        "created_at": user["created_at"],
        "updated_at": user["updated_at"],
    }
    assert (await client.get(f"/users/{user['id']}")).json() == user


async def test_ids_are_uuids_and_times_have_an_offset(client: AsyncClient) -> None:
    user = (await client.post("/users", json=ADA)).json()

    assert UUID(user["id"]).version == 7
    assert datetime.fromisoformat(user["created_at"]).utcoffset() == timedelta(0)


async def test_names_and_addresses_may_be_in_any_language(client: AsyncClient) -> None:
    user = (await client.post("/users", json={**ADA, "full_name": " Zoë 林 🦊 "})).json()

    assert user["full_name"] == "Zoë 林 🦊"
    assert (await client.get(f"/users/{user['id']}")).json() == user


async def test_an_address_is_taken_in_any_case(client: AsyncClient, session: AsyncSession) -> None:
    await create_user(session, email="ada@example.com")

    response = await client.post("/users", json={**ADA, "email": "ADA@Example.com"})

    assert_problem(response, 409)
    assert "ada@" not in response.text.lower()


async def test_addresses_that_differ_by_an_accent_are_two(client: AsyncClient) -> None:
    first = await client.post("/users", json={**ADA, "email": "rene@example.com"})
    second = await client.post("/users", json={**ADA, "email": "rené@example.com"})

    assert (first.status_code, second.status_code) == (201, 201)


async def test_of_requests_for_one_address_at_once_one_succeeds(client: AsyncClient) -> None:
    responses = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(8)))

    assert sorted(response.status_code for response in responses) == [201] + 7 * [409]


async def test_a_patch_changes_what_was_sent(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session, email="ada@example.com")

    response = await client.patch(f"/users/{user.id}", json={"full_name": "Ada King"})

    changed = response.json()
    assert (changed["email"], changed["full_name"]) == ("ada@example.com", "Ada King")
    assert datetime.fromisoformat(changed["updated_at"]) > user.updated_at
    assert (await client.get(f"/users/{user.id}")).json() == changed


async def test_a_patch_can_change_everything(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session)
    changes = {"email": "ada@example.org", "full_name": "Ada King", "is_active": False}

    response = await client.patch(f"/users/{user.id}", json=changes)

    assert response.json().items() >= changes.items()


async def test_an_empty_patch_changes_nothing(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session)
    before = (await client.get(f"/users/{user.id}")).json()

    response = await client.patch(f"/users/{user.id}", json={})

    assert (response.status_code, response.json()) == (200, before)


async def test_changing_an_address_to_a_taken_one_is_a_conflict(
    client: AsyncClient, session: AsyncSession
) -> None:
    await create_user(session, email="ada@example.com")
    user = await create_user(session, email="grace@example.com")

    response = await client.patch(f"/users/{user.id}", json={"email": "Ada@example.com"})

    assert_problem(response, 409)
    assert (await client.get(f"/users/{user.id}")).json()["email"] == "grace@example.com"


async def test_of_users_who_take_one_address_at_once_one_succeeds(
    client: AsyncClient, session: AsyncSession
) -> None:
    users = [await create_user(session) for _ in range(4)]
    # Not the address of other tests: one that was just deleted can be locked for a moment.
    taken = {"email": "taken@example.com"}

    responses = await asyncio.gather(
        *(client.patch(f"/users/{user.id}", json=taken) for user in users)
    )

    assert sorted(response.status_code for response in responses) == [200] + 3 * [409]


async def test_changing_the_case_of_ones_own_address_is_no_conflict(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session, email="ada@example.com")

    response = await client.patch(f"/users/{user.id}", json={"email": "ADA@example.com"})

    assert (response.status_code, response.json()["email"]) == (200, "ada@example.com")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/restore"),
        ("PUT", "/roles/admin"),
        ("DELETE", "/roles/admin"),
    ],
)
async def test_an_unknown_user_is_not_found(client: AsyncClient, method: str, path: str) -> None:
    response = await client.request(
        method, f"/users/{UNKNOWN_ID}{path}", json={} if method == "PATCH" else None
    )

    assert_problem(response, 404)


@pytest.mark.parametrize("users", [0, 1, 5, 6])
async def test_the_list_has_each_user_exactly_once(
    client: AsyncClient, session: AsyncSession, users: int
) -> None:
    expected = [str((await create_user(session)).id) for _ in range(users)]
    await create_deleted_user(session)

    found: list[str] = []
    page = (await client.get("/users?limit=3")).json()
    while page["next"] is not None:
        found += [user["id"] for user in page["items"]]
        page = (await client.get("/users", params={"limit": 3, "after": page["next"]})).json()
    found += [user["id"] for user in page["items"]]

    assert found == expected


async def test_a_user_made_while_the_list_is_read_is_found(
    client: AsyncClient, session: AsyncSession
) -> None:
    users = [await create_user(session) for _ in range(3)]
    page = (await client.get("/users?limit=2")).json()
    users.append(await create_user(session))

    rest = (await client.get("/users", params={"after": page["next"]})).json()

    assert [user["id"] for user in rest["items"]] == [str(user.id) for user in users[2:]]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("POST", "/users", [400, 409, 413, 422]),
        ("GET", "/users", [422]),
        ("GET", "/users/{user_id}", [404, 422]),
        ("PATCH", "/users/{user_id}", [400, 404, 409, 413, 422]),
        ("DELETE", "/users/{user_id}", [404, 422]),
        ("POST", "/users/{user_id}/restore", [404, 409, 422]),
        ("PUT", "/users/{user_id}/roles/{name}", [404, 422]),
        ("DELETE", "/users/{user_id}/roles/{name}", [404, 422]),
    ],
)
async def test_errors_are_documented(
    app: FastAPI, method: str, path: str, statuses: list[int]
) -> None:
    assert_documented(app.openapi(), method, path, *statuses)
