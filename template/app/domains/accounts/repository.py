from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, update

from app.core.bulk import count_affected
from app.core.repository import Repository
from app.domains.accounts.models import MAX_BALANCE_CENTS, Account, Transfer


class AccountRepository(Repository[Account]):
    model = Account

    async def change_balance(self, account_id: UUID, by_cents: int) -> bool:
        """Change the balance if the account may hold the result. Return whether it was changed.

        The condition is part of the UPDATE, so that the check and the change are atomic.
        """
        balance = Account.balance_cents + by_cents
        statement = (
            update(Account)
            .where(Account.id == account_id, balance.between(0, MAX_BALANCE_CENTS))
            .values(balance_cents=balance)
            .execution_options(synchronize_session=False)
        )
        return await count_affected(self.session, statement) == 1

    async def lock(self, account_ids: Collection[UUID]) -> None:
        """Lock these accounts, in a fixed order to avoid deadlocks."""
        query = select(Account.id).where(Account.id.in_(account_ids)).order_by(Account.id)
        await self.session.execute(query.with_for_update())


class TransferRepository(Repository[Transfer]):
    model = Transfer
