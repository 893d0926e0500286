from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.accounts.models import MAX_BALANCE_CENTS, Transfer
from tests.core.hostile import UNKNOWN_ID, assert_problem
from tests.domains.accounts.factories import build_transfer, create_account, read_balances


async def test_a_transfer_moves_money(client: AsyncClient, session: AsyncSession) -> None:
    source = await create_account(session, balance_cents=100)
    target = await create_account(session, balance_cents=0)

    response = await client.post("/transfers", json=build_transfer(source, target, 100))

    assert response.status_code == 201
    transfer = response.json()
    assert transfer == {
        "id": transfer["id"],
        **build_transfer(source, target, 100),
        "created_at": transfer["created_at"],
        "updated_at": transfer["updated_at"],
    }
    assert await read_balances(client, source, target) == [0, 100]
    assert (await session.scalars(select(Transfer.id))).all() == [UUID(transfer["id"])]


async def test_a_transfer_changes_when_its_accounts_were_changed(
    client: AsyncClient, session: AsyncSession
) -> None:
    source, target = await create_account(session), await create_account(session)
    await client.post("/transfers", json=build_transfer(source, target, 1))

    read = (await client.get(f"/accounts/{source.id}")).json()

    assert read["updated_at"] > read["created_at"]


async def test_a_transfer_that_is_repeated_with_its_key_moves_money_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    source = await create_account(session, balance_cents=100)
    target = await create_account(session, balance_cents=0)
    transfer, headers = build_transfer(source, target, 10), {"Idempotency-Key": "transfer-1"}

    responses = [await client.post("/transfers", json=transfer, headers=headers) for _ in range(2)]

    assert responses[0].status_code == responses[1].status_code == 201
    assert responses[0].json() == responses[1].json()
    assert await read_balances(client, source, target) == [90, 10]


@pytest.mark.parametrize(
    ("source_cents", "target_cents", "amount_cents", "type"),
    [
        (100, 0, 101, "urn:problem:insufficient-funds"),
        (0, 0, 1, "urn:problem:insufficient-funds"),
        (10, MAX_BALANCE_CENTS, 1, "urn:problem:balance-too-large"),
    ],
)
async def test_a_transfer_that_an_account_forbids_is_a_conflict(
    client: AsyncClient,
    session: AsyncSession,
    source_cents: int,
    target_cents: int,
    amount_cents: int,
    type: str,
) -> None:
    source = await create_account(session, balance_cents=source_cents)
    target = await create_account(session, balance_cents=target_cents)

    response = await client.post("/transfers", json=build_transfer(source, target, amount_cents))

    assert_problem(response, 409)
    assert response.json()["type"] == type
    assert await read_balances(client, source, target) == [source_cents, target_cents]
    assert await session.scalar(select(func.count()).select_from(Transfer)) == 0


@pytest.mark.parametrize("unknown", ["source", "target", "both"])
async def test_a_transfer_of_an_unknown_account_is_a_conflict(
    client: AsyncClient, session: AsyncSession, unknown: str
) -> None:
    account = await create_account(session, balance_cents=100)
    transfer = {
        "source": build_transfer(UNKNOWN_ID, account, 10),
        "target": build_transfer(account, UNKNOWN_ID, 10),
        "both": build_transfer(UNKNOWN_ID, UNKNOWN_ID[:-1] + "1", 10),
    }[unknown]

    assert_problem(await client.post("/transfers", json=transfer), 409)
    assert await read_balances(client, account) == [100]


async def test_a_transfer_within_one_account_is_invalid(
    client: AsyncClient, session: AsyncSession
) -> None:
    account = await create_account(session)

    response = await client.post("/transfers", json=build_transfer(account, account, 1))

    assert_problem(response, 422)
    assert response.json()["type"] == "urn:problem:same-account"
