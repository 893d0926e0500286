import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core.commands import command_line
from app.core.database import Database
from app.domains.accounts.models import Account, Transfer
from app.domains.accounts.seed import FIRST_SUM_CENTS


def seed() -> None:
    result = CliRunner().invoke(command_line, ["db", "seed", "--users", "50"])
    assert result.exit_code == 0, result.output


async def test_seeded_balances_are_those_of_the_transfers(
    database: Database, session: AsyncSession
) -> None:
    await asyncio.to_thread(seed)

    transfers = (await session.scalars(select(Transfer))).all()
    accounts = (await session.scalars(select(Account))).all()
    balances = {account.id: FIRST_SUM_CENTS for account in accounts}
    for transfer in transfers:
        balances[transfer.source_id] -= transfer.amount_cents
        balances[transfer.target_id] += transfer.amount_cents
    assert len(transfers) == 25
    assert {account.id: account.balance_cents for account in accounts} == balances
