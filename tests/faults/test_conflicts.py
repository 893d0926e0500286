"""Requests and migrations that compete with each other."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.conftest import Stage, on_all
from tests.faults.ledger import Ledger
from tests.project import run
from tests.servers import rows_of, written

ACCOUNTS = 10
TRANSFERS = 200
CENTS = 1000


@on_all
def test_no_money_appears_or_goes_when_many_transfers_meet(stage: Stage) -> None:
    asyncio.run(transfer_at_once(stage))


async def transfer_at_once(stage: Stage) -> None:
    async with stage.serving() as service:
        ledger = service.ledger()
        owner = (await ledger.write()).body["id"]
        new = {"owner_id": owner, "balance_cents": CENTS}
        opened = [await ledger.send("POST", "/accounts", json=new) for _ in range(ACCOUNTS)]
        ids = [answer.body["id"] for answer in opened]
        transfers = Ledger(ledger.client)
        async with asyncio.TaskGroup() as group:
            for number in range(TRANSFERS):
                group.create_task(transfers.send("POST", "/transfers", json=transfer(ids, number)))
    statuses = transfers.statuses()
    assert statuses.keys() <= {201, 409, 503}
    assert statuses[201]
    balances = await asyncio.to_thread(rows_of, stage.url, "SELECT balance_cents FROM accounts")
    assert sum(as_int(row[0]) for row in balances) == ACCOUNTS * CENTS
    ((stored,),) = await asyncio.to_thread(rows_of, stage.url, "SELECT count(*) FROM transfers")
    assert stored == statuses[201]


def as_int(value: object) -> int:
    assert isinstance(value, int)
    return value


def transfer(ids: list[str], number: int) -> dict[str, Any]:
    """Between two of the accounts, in either direction; some are refused."""
    source, target = number % ACCOUNTS, (number * 7 + 3) % ACCOUNTS
    target = target if target != source else (target + 1) % ACCOUNTS
    return {"source_id": ids[source], "target_id": ids[target], "amount_cents": 150}


@on_all
def test_migrations_that_run_at_once_all_succeed(stage: Stage) -> None:
    empty = stage.new_database()
    variables = stage.variables | {"DATABASE_URL": written(empty)}
    upgrade = f"{stage.variables['UV_PROJECT_ENVIRONMENT']}/bin/alembic upgrade head"
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(run, stage.project, upgrade, variables) for _ in range(5)]
        printed = [each.result() for each in running]
    assert Counter("Running upgrade" in text for text in printed) == {True: 1, False: 4}
    assert rows_of(empty, "SELECT count(*) FROM alembic_version") == [(1,)]
    assert rows_of(empty, "SELECT count(*) FROM users") == [(0,)]
