from typing import Any

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.accounts.models import Account
from app.domains.users.models import User
from tests.domains.users.factories import create_user


async def create_account(
    session: AsyncSession, *, owner: User | None = None, **values: Any
) -> Account:
    owner = owner or await create_user(session)
    account = Account(**{"owner_id": owner.id, "balance_cents": 10_000, **values})
    session.add(account)
    await session.commit()
    return account


def build_transfer(source: object, target: object, amount_cents: int) -> dict[str, object]:
    """Of accounts or of ids."""
    ids = [str(each.id) if isinstance(each, Account) else str(each) for each in (source, target)]
    return {"source_id": ids[0], "target_id": ids[1], "amount_cents": amount_cents}


async def read_balances(client: AsyncClient, *accounts: Account) -> list[int]:
    read = [(await client.get(f"/accounts/{account.id}")).json() for account in accounts]
    return [account["balance_cents"] for account in read]
