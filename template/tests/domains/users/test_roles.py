import asyncio

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.users.models import Role
from tests.domains.users.factories import create_user


async def test_a_role_is_given_once_however_often_it_is_put(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)

    responses = [await client.put(f"/users/{user.id}/roles/admin") for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].json() == responses[1].json()
    roles = responses[0].json()["roles"]
    assert [(sorted(role), role["name"]) for role in roles] == [(["id", "name"], "admin")]


async def test_a_role_is_the_same_in_any_case(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_user(session, roles=[Role(name="admin")])

    response = await client.put(f"/users/{user.id}/roles/Admin")

    assert [role["name"] for role in response.json()["roles"]] == ["admin"]


async def test_a_new_role_is_given_to_many_users_at_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    users = [await create_user(session) for _ in range(4)]
    puts = [client.put(f"/users/{user.id}/roles/admin") for user in users for _ in range(3)]

    responses = await asyncio.gather(*puts)

    assert {response.status_code for response in responses} == {200}
    ids = {role["id"] for response in responses for role in response.json()["roles"]}
    assert len(ids) == 1


async def test_a_role_that_is_taken_is_gone_from_that_user_only(
    client: AsyncClient, session: AsyncSession
) -> None:
    admin, writer = Role(name="admin"), Role(name="writer")
    user = await create_user(session, roles=[admin, writer])
    other = await create_user(session, roles=[admin])

    responses = [await client.delete(f"/users/{user.id}/roles/admin") for _ in range(2)]

    assert [response.status_code for response in responses] == [204, 204]
    assert await read_roles(client, user.id) == ["reader", "writer"]
    assert await read_roles(client, other.id) == ["admin", "reader"]


async def read_roles(client: AsyncClient, user_id: object) -> list[str]:
    """The roles of the user, to whom it gives `reader`: only that response has them."""
    response = await client.put(f"/users/{user_id}/roles/reader")
    return [role["name"] for role in response.json()["roles"]]
