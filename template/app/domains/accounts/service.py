from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import AppError, ConflictError
from app.domains.accounts.models import Account, Transfer
from app.domains.accounts.repository import AccountRepository, TransferRepository
from app.domains.accounts.schemas import AccountCreate, TransferCreate
from app.domains.users.repository import UserRepository


@dataclass(frozen=True)
class Refusal:
    index: int
    reason: str


@dataclass
class Batch:
    completed: list[Transfer] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class AccountService:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.accounts = AccountRepository(session)
        self.transfers = TransferRepository(session)
        self.users = UserRepository(session)

    async def open_account(self, data: AccountCreate) -> Account:
        await self.users.get_referenced(data.owner_id)
        return await self.accounts.create(data)

    async def transfer(self, data: TransferCreate) -> Transfer:
        transfer = Transfer.between(data.source_id, data.target_id, data.amount_cents)
        changes = {data.source_id: -data.amount_cents, data.target_id: data.amount_cents}
        for account_id in sorted(changes):  # a fixed order avoids deadlocks
            await self.change_balance(account_id, changes[account_id])
        return await self.transfers.add(transfer)

    async def change_balance(self, account_id: UUID, by_cents: int) -> None:
        if not await self.accounts.change_balance(account_id, by_cents):
            account = await self.accounts.get_referenced(account_id)
            account.change_balance(by_cents)  # raises the specific error
            raise ConflictError("The balance was changed at the same time.")

    async def transfer_many(self, transfers: Sequence[TransferCreate]) -> Batch:
        """Make the transfers that are possible. A savepoint for each undoes a refused one."""
        batch = Batch()
        ids = {data.source_id for data in transfers} | {data.target_id for data in transfers}
        await self.accounts.lock(ids)
        for index, data in enumerate(transfers):
            try:
                async with self.session.begin_nested():
                    batch.completed.append(await self.transfer(data))
            except AppError as error:
                batch.refused.append(Refusal(index, str(error)))
        return batch
