"""Batches, and transfers at the same time: no cent is lost, none is made."""

import asyncio
from collections import Counter
from itertools import pairwise

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.accounts.models import MAX_BALANCE_CENTS
from tests.core.hostile import UNKNOWN_ID
from tests.domains.accounts.factories import build_transfer, create_account, read_balances


async def test_a_batch_makes_the_transfers_it_can_and_undoes_the_others(
    client: AsyncClient, session: AsyncSession
) -> None:
    full = await create_account(session, balance_cents=MAX_BALANCE_CENTS)
    source = await create_account(session, balance_cents=100)
    target = await create_account(session, balance_cents=0)
    transfers = [
        build_transfer(source, target, 60),
        build_transfer(source, target, 60),
        build_transfer(source, full, 10),
        build_transfer(source, UNKNOWN_ID, 10),
        build_transfer(source, source, 10),
        build_transfer(source, target, 40),
    ]

    response = await client.post("/transfers/batch", json={"transfers": transfers})

    assert response.status_code == 200
    batch = response.json()
    assert [transfer["amount_cents"] for transfer in batch["completed"]] == [60, 40]
    assert [(refusal["index"], bool(refusal["reason"])) for refusal in batch["refused"]] == [
        (1, True),
        (2, True),
        (3, True),
        (4, True),
    ]
    assert await read_balances(client, source, target, full) == [0, 100, MAX_BALANCE_CENTS]


async def test_a_transfer_of_a_batch_can_spend_what_an_earlier_one_brought(
    client: AsyncClient, session: AsyncSession
) -> None:
    accounts = [await create_account(session, balance_cents=cents) for cents in (100, 0, 0)]
    transfers = [
        build_transfer(accounts[0], accounts[1], 100),
        build_transfer(accounts[1], accounts[2], 100),
    ]

    batch = (await client.post("/transfers/batch", json={"transfers": transfers})).json()

    assert (len(batch["completed"]), batch["refused"]) == (2, [])
    assert await read_balances(client, *accounts) == [0, 0, 100]


async def test_transfers_in_both_directions_at_once_all_succeed(
    client: AsyncClient, session: AsyncSession
) -> None:
    one = await create_account(session, balance_cents=10_000)
    other = await create_account(session, balance_cents=10_000)
    transfers = [build_transfer(one, other, 7)] * 12 + [build_transfer(other, one, 5)] * 12

    responses = await asyncio.gather(
        *(client.post("/transfers", json=transfer) for transfer in transfers)
    )

    assert Counter(response.status_code for response in responses) == {201: 24}
    assert await read_balances(client, one, other) == [9_976, 10_024]


async def test_withdrawals_at_once_never_overdraw_an_account(
    client: AsyncClient, session: AsyncSession
) -> None:
    source = await create_account(session, balance_cents=100)
    targets = [await create_account(session, balance_cents=0) for _ in range(10)]

    responses = await asyncio.gather(
        *(client.post("/transfers", json=build_transfer(source, target, 30)) for target in targets)
    )

    assert Counter(response.status_code for response in responses) == {201: 3, 409: 7}
    assert await read_balances(client, source) == [10]
    assert sorted(await read_balances(client, *targets)) == [0] * 7 + [30] * 3


async def test_batches_that_lock_the_same_accounts_in_another_order_all_succeed(
    client: AsyncClient, session: AsyncSession
) -> None:
    accounts = [await create_account(session, balance_cents=1_000) for _ in range(4)]
    forth = [build_transfer(a, b, 1) for a, b in pairwise(accounts)] * 3

    responses = await asyncio.gather(
        *(
            client.post("/transfers/batch", json={"transfers": transfers})
            for transfers in (forth, forth[::-1])
        )
    )

    assert [response.status_code for response in responses] == [200, 200]
    assert all(len(response.json()["completed"]) == 9 for response in responses)
    assert await read_balances(client, *accounts) == [994, 1_000, 1_000, 1_006]
