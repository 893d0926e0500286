from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select

from app.core.bulk import upsert_rows
from app.core.pagination import KeysetPage, read_keyset_page, rows_after
from app.core.soft_delete import SoftDeleteRepository
from app.domains.invoices.models import Invoice, InvoiceLine


class InvoiceRepository(SoftDeleteRepository[Invoice]):
    model = Invoice

    async def list_unpaid(self, after: UUID | None, *, limit: int) -> KeysetPage[Invoice]:
        query = select(Invoice).where(Invoice.paid_at.is_(None)).order_by(Invoice.id)
        if after is not None:
            query = query.where(rows_after([Invoice.id], [after]))
        return await read_keyset_page(self.session, query, key="id", limit=limit)

    async def search(self, text: str) -> Sequence[Invoice]:
        query = select(Invoice).where(Invoice.customer.icontains(text, autoescape=True))
        return (await self.session.scalars(query.order_by(Invoice.number))).all()

    async def upsert(self, rows: Sequence[dict[str, Any]]) -> int:
        live = [{**row, "is_live": True} for row in rows]
        return await upsert_rows(
            self.session, Invoice, live, key=["number", "is_live"], update=["customer", "due_on"]
        )

    async def sum_by_customer(self) -> Sequence[Row[Any]]:
        total = func.sum(InvoiceLine.cents).label("cents")
        query = (
            select(Invoice.customer, total)
            .join(Invoice.lines)
            .group_by(Invoice.customer)
            .having(total > 0)
            .order_by(total.desc())
        )
        return (await self.session.execute(query)).all()
