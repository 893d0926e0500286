from uuid import UUID

from fastapi import APIRouter, Response

from app.core.database import DatabaseDep, ReadSessionDep, SessionDep
from app.core.idempotency import OnceDep
from app.core.responses import problems
from app.domains.accounts.models import Account, Transfer
from app.domains.accounts.repository import AccountRepository
from app.domains.accounts.schemas import (
    AccountCreate,
    AccountRead,
    BatchRead,
    TransferBatch,
    TransferCreate,
    TransferRead,
)
from app.domains.accounts.service import AccountService, Batch

router = APIRouter(tags=["accounts"])


@router.post("/accounts", status_code=201, response_model=AccountRead, responses=problems(409))
async def open_account(
    data: AccountCreate, session: SessionDep, once: OnceDep
) -> Account | Response:
    return await once(session, AccountService(session).open_account(data))


@router.get("/accounts/{account_id}", responses=problems(404))
async def read_account(account_id: UUID, session: ReadSessionDep) -> AccountRead:
    return await AccountRepository(session).read(account_id, AccountRead)


@router.post("/transfers", status_code=201, response_model=TransferRead, responses=problems(409))
async def transfer_money(
    data: TransferCreate, database: DatabaseDep, once: OnceDep
) -> Transfer | Response:
    return await database.run(lambda session: once(session, AccountService(session).transfer(data)))


@router.post("/transfers/batch", response_model=BatchRead)
async def transfer_batch(
    data: TransferBatch, database: DatabaseDep, once: OnceDep
) -> Batch | Response:
    return await database.run(
        lambda session: once(session, AccountService(session).transfer_many(data.transfers))
    )
