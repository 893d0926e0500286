import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.users.models import Role
from tests.core.hostile import assert_problem
from tests.domains.users.factories import create_deleted_user, create_user


async def test_a_user_is_deleted_once(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session)

    first = await client.delete(f"/users/{user.id}")
    second = await client.delete(f"/users/{user.id}")

    assert (first.status_code, first.content) == (204, b"")
    assert_problem(second, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("PUT", "/roles/admin"),
        ("DELETE", "/roles/admin"),
    ],
)
async def test_a_deleted_user_is_not_found(
    client: AsyncClient, session: AsyncSession, method: str, path: str
) -> None:
    user = await create_deleted_user(session)
    body = {"full_name": "Ada King"} if method == "PATCH" else None

    response = await client.request(method, f"/users/{user.id}{path}", json=body)

    assert_problem(response, 404)


async def test_a_deleted_user_is_in_no_list(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session)
    assert str(user.id) in (await client.get("/users")).text

    await client.delete(f"/users/{user.id}")

    assert str(user.id) not in (await client.get("/users")).text


async def test_the_address_of_a_deleted_user_can_be_used_again_and_again(
    client: AsyncClient,
) -> None:
    for _ in range(3):
        response = await client.post("/users", json={"email": "ada@example.com", "full_name": "A"})
        assert response.status_code == 201
        await client.delete(f"/users/{response.json()['id']}")


async def test_a_restored_user_is_as_before(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session, roles=[Role(name="admin")])
    before = (await client.get(f"/users/{user.id}")).json()
    await client.delete(f"/users/{user.id}")

    restored = await client.post(f"/users/{user.id}/restore")

    assert restored.status_code == 200
    assert restored.json() == {**before, "updated_at": restored.json()["updated_at"]}
    assert (await client.get(f"/users/{user.id}")).json() == restored.json()
    with_roles = (await client.put(f"/users/{user.id}/roles/writer")).json()
    assert [role["name"] for role in with_roles["roles"]] == ["admin", "writer"]


async def test_a_user_who_is_not_deleted_can_be_restored_without_effect(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    before = (await client.get(f"/users/{user.id}")).json()

    response = await client.post(f"/users/{user.id}/restore")

    assert (response.status_code, response.json()) == (200, before)


async def test_restoring_a_user_whose_address_was_taken_is_a_conflict(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_deleted_user(session, email="ada@example.com")
    await create_user(session, email="ada@example.com")

    response = await client.post(f"/users/{user.id}/restore")

    assert_problem(response, 409)
    assert_problem(await client.get(f"/users/{user.id}"), 404)
