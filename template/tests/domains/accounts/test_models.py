from uuid import uuid4

import pytest

from app.domains.accounts.models import (
    MAX_BALANCE_CENTS,
    Account,
    BalanceTooLargeError,
    InsufficientFundsError,
    SameAccountError,
    Transfer,
)


def open_account(balance_cents: int) -> Account:
    return Account(owner_id=uuid4(), balance_cents=balance_cents)


@pytest.mark.parametrize(("by_cents", "balance"), [(-100, 0), (-1, 99), (0, 100), (50, 150)])
def test_a_balance_changes(by_cents: int, balance: int) -> None:
    account = open_account(100)

    account.change_balance(by_cents)

    assert account.balance_cents == balance


def test_an_account_cannot_be_overdrawn() -> None:
    account = open_account(100)

    with pytest.raises(InsufficientFundsError):
        account.change_balance(-101)

    assert account.balance_cents == 100


def test_an_account_cannot_hold_any_amount() -> None:
    account = open_account(MAX_BALANCE_CENTS)

    with pytest.raises(BalanceTooLargeError):
        account.change_balance(1)


def test_a_transfer_needs_two_accounts() -> None:
    account_id = uuid4()

    with pytest.raises(SameAccountError):
        Transfer.between(account_id, account_id, 1)
