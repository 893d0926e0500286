"""Accounts for `app db seed`: one for each user. Each second one got a transfer from the first.

What an account had at first is a round sum; its balance is that and its transfers.
"""

from app.core.seeds import Rows, Seed, SeedContext
from app.domains.accounts.models import Account, Transfer

FIRST_SUM_CENTS = 100_000


def amount_of(pair: int) -> int:
    """Return what is transferred between the two accounts of a pair, in cents."""
    return 500 + pair * 7919 % 90_000


def rows(context: SeedContext) -> Rows:
    pair, is_target = divmod(context.number, 2)
    amount = amount_of(pair)
    account_id, at = context.next_id(), context.created_at
    yield (
        Account,
        {
            "id": account_id,
            "owner_id": context.earlier("users"),
            "balance_cents": FIRST_SUM_CENTS + (amount if is_target else -amount),
            "created_at": at,
            "updated_at": at,
        },
    )
    if is_target:
        yield (
            Transfer,
            {
                "id": context.next_id(),
                "source_id": context.id_of("accounts", context.number - 1),
                "target_id": account_id,
                "amount_cents": amount,
                "created_at": at,
                "updated_at": at,
            },
        )


seed = Seed(models=(Account, Transfer), rows=rows, count=1, per="users")
