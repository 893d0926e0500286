from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import Row
from sqlalchemy.orm import selectinload

from app.core.database import DatabaseDep, ReadSessionDep, SessionDep
from app.core.errors import problems
from app.core.pagination import KeysetPage, KeysetPageRead, Limit
from app.domains.invoices.models import Invoice, InvoiceLine
from app.domains.invoices.repository import InvoiceRepository
from app.domains.invoices.schemas import (
    CustomerTotal,
    InvoiceCreate,
    InvoiceRead,
    InvoiceUpsert,
    InvoiceWithLines,
)

router = APIRouter(prefix="/invoices", tags=["invoices"])


@router.post("", status_code=201, response_model=InvoiceWithLines, responses=problems(409))
async def create_invoice(data: InvoiceCreate, session: SessionDep) -> Invoice:
    lines = [InvoiceLine(**line.model_dump()) for line in data.lines]
    invoice = Invoice(**data.model_dump(exclude={"lines"}), lines=lines)
    return await InvoiceRepository(session).add(invoice)


@router.get("", response_model=KeysetPageRead[InvoiceRead])
async def list_unpaid(
    session: ReadSessionDep, limit: Limit = 50, after: UUID | None = None
) -> KeysetPage[Invoice]:
    return await InvoiceRepository(session).list_unpaid(after, limit=limit)


@router.put("", response_model=int)
async def upsert_invoices(data: list[InvoiceUpsert], database: DatabaseDep) -> int:
    rows = [each.model_dump() for each in data]
    return await database.run(lambda session: InvoiceRepository(session).upsert(rows))


@router.get("/search", response_model=list[InvoiceRead])
async def search(text: str, session: ReadSessionDep) -> Sequence[Invoice]:
    return await InvoiceRepository(session).search(text)


@router.get("/totals", response_model=list[CustomerTotal])
async def read_totals(session: ReadSessionDep) -> Sequence[Row[Any]]:
    return await InvoiceRepository(session).sum_by_customer()


@router.get("/{invoice_id}", response_model=InvoiceWithLines, responses=problems(404))
async def read_invoice(invoice_id: UUID, session: ReadSessionDep) -> Invoice:
    return await InvoiceRepository(session).get(invoice_id, selectinload(Invoice.lines))


@router.post("/{invoice_id}/pay", response_model=InvoiceRead, responses=problems(404, 409))
async def pay_invoice(invoice_id: UUID, session: SessionDep) -> Invoice:
    invoice = await InvoiceRepository(session).get(invoice_id)
    invoice.pay()
    return invoice


@router.delete("/{invoice_id}", status_code=204, responses=problems(404))
async def delete_invoice(invoice_id: UUID, session: SessionDep) -> None:
    invoices = InvoiceRepository(session)
    await invoices.delete(await invoices.get(invoice_id))
