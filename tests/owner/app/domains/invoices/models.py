from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.errors import ConflictError
from app.core.models import Cents, LongText, Name, Record, partial_index, utc_now
from app.core.soft_delete import SoftDeletable, live_or_deleted


class AlreadyPaidError(ConflictError):
    def __init__(self) -> None:
        super().__init__("The invoice is paid.")


class Invoice(SoftDeletable):
    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("number", "is_live"),
        live_or_deleted(),
        partial_index("ix_invoices_unpaid", "due_on", where="paid_at IS NULL"),
    )

    number: Mapped[str] = mapped_column(String(20))
    customer: Mapped[Name] = mapped_column(index=True)
    due_on: Mapped[date]
    paid_at: Mapped[datetime | None]

    lines: Mapped[list["InvoiceLine"]] = relationship(
        cascade="all, delete-orphan", order_by="InvoiceLine.id", lazy="raise"
    )

    def pay(self) -> None:
        """Raise `AlreadyPaidError` the second time."""
        if self.paid_at is not None:
            raise AlreadyPaidError
        self.paid_at = utc_now()


class InvoiceLine(Record):
    __tablename__ = "invoice_lines"
    __table_args__ = (CheckConstraint("cents >= 0", name="cents"),)

    invoice_id: Mapped[UUID] = mapped_column(
        ForeignKey("invoices.id", ondelete="CASCADE"), index=True
    )
    text: Mapped[LongText]
    cents: Mapped[Cents]
