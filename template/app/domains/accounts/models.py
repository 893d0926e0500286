from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.core.errors import ConflictError, InvalidError
from app.core.models import Cents, Record

MAX_BALANCE_CENTS = 1_000_000_000_000_000


class InsufficientFundsError(ConflictError):
    problem_type = "urn:problem:insufficient-funds"

    def __init__(self) -> None:
        super().__init__("The account does not hold that much.")


class BalanceTooLargeError(ConflictError):
    problem_type = "urn:problem:balance-too-large"

    def __init__(self) -> None:
        super().__init__("The account cannot hold that much.")


class SameAccountError(InvalidError):
    problem_type = "urn:problem:same-account"

    def __init__(self) -> None:
        super().__init__("A transfer needs two accounts.")


class Account(Record):
    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(f"balance_cents BETWEEN 0 AND {MAX_BALANCE_CENTS}", name="balance"),
    )

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    balance_cents: Mapped[Cents]

    def change_balance(self, by_cents: int) -> None:
        """Raise `InsufficientFundsError` or `BalanceTooLargeError` if this is not allowed."""
        balance = self.balance_cents + by_cents
        if balance < 0:
            raise InsufficientFundsError
        if balance > MAX_BALANCE_CENTS:
            raise BalanceTooLargeError
        self.balance_cents = balance


class Transfer(Record):
    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount_cents > 0", name="amount"),
        CheckConstraint("source_id <> target_id", name="accounts"),
    )

    source_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    target_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount_cents: Mapped[Cents]

    @classmethod
    def between(cls, source_id: UUID, target_id: UUID, amount_cents: int) -> "Transfer":
        if source_id == target_id:
            raise SameAccountError
        return cls(source_id=source_id, target_id=target_id, amount_cents=amount_cents)
