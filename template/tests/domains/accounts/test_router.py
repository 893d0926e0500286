import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import UNKNOWN_ID, assert_documented, assert_problem
from tests.domains.users.factories import create_deleted_user, create_user


async def test_an_account_that_was_opened_can_be_read(
    client: AsyncClient, session: AsyncSession
) -> None:
    owner = await create_user(session)

    opened = await client.post(
        "/accounts", json={"owner_id": str(owner.id), "balance_cents": 10**12}
    )

    assert opened.status_code == 201
    account = opened.json()
    assert account == {
        "id": account["id"],
        "owner_id": str(owner.id),
        "balance_cents": 10**12,
        "created_at": account["created_at"],
        "updated_at": account["updated_at"],
    }
    assert (await client.get(f"/accounts/{account['id']}")).json() == account


@pytest.mark.parametrize("deleted", [False, True])
async def test_an_owner_who_does_not_exist_is_a_conflict(
    client: AsyncClient, session: AsyncSession, deleted: bool
) -> None:
    owner_id = (await create_deleted_user(session)).id if deleted else UNKNOWN_ID

    response = await client.post("/accounts", json={"owner_id": str(owner_id), "balance_cents": 1})

    assert_problem(response, 409)


async def test_an_unknown_account_is_not_found(client: AsyncClient) -> None:
    assert_problem(await client.get(f"/accounts/{UNKNOWN_ID}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("POST", "/accounts", [400, 409, 413, 422]),
        ("GET", "/accounts/{account_id}", [404, 422]),
        ("POST", "/transfers", [400, 409, 413, 422]),
        ("POST", "/transfers/batch", [400, 409, 413, 422]),
    ],
)
async def test_errors_are_documented(
    app: FastAPI, method: str, path: str, statuses: list[int]
) -> None:
    assert_documented(app.openapi(), method, path, *statuses)
