import random
from decimal import Decimal

import pytest
from email_validator import EmailNotValidError, validate_email
from pydantic import TypeAdapter, ValidationError

from app.core.schemas import Amount, Email

ADDRESS: TypeAdapter[str] = TypeAdapter(Email)
AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)

LONG_DOMAIN = ".".join(["x" * 63, "y" * 63, "z" * 63, "a" * 54, "com"])  # 250 characters

ADDRESSES = [
    "ada@example.com",
    "ADA@Example.COM",
    "ada+tag@example.com",
    "ada.lovelace@example.co.uk",
    "-@example.com",
    "_@example.com",
    "+@example.com",
    "a-b_c+d@example.com",
    "0@example.com",
    ".ada@example.com",
    "ada.@example.com",
    "a..b@example.com",
    "@example.com",
    "ada@",
    "ada",
    "ada@@example.com",
    "a@b@example.com",
    "ada@example",
    "ada@localhost",
    "ada@example.test",
    "ada@example.invalid",
    "ada@sub.local",
    "ada@example.com.",
    "ada@.example.com",
    "ada@example..com",
    "ada@-example.com",
    "ada@example-.com",
    "ada@exa_mple.com",
    "ada@ex--ample.com",
    "ada@xn--mnchen-3ya.de",
    "ada@XN--MNCHEN-3YA.de",
    "ada@xn--.de",
    "ada@xn--a.de",
    "ada@münchen.de",
    "ada@MÜNCHEN.de",
    "ada@例え.jp",
    "ada@example。com",
    "é@example.com",
    "e\u0301@example.com",
    "İ@example.com",
    "\u017f@example.com",
    "\u212a@example.com",
    "ada\u200b@example.com",
    '"ada"@example.com',
    '"a@b"@example.com',
    "ada(comment)@example.com",
    "Ada <ada@example.com>",
    "<ada@example.com>",
    "mailto:ada@example.com",
    "a!#$%&'*/=?^`{|}~@example.com",
    "ada lovelace@example.com",
    "ada\t@example.com",
    "ada\n@example.com",
    "ada@example.com\n",
    "ada@exam\nple.com",
    " ada@example.com ",
    "ada@[127.0.0.1]",
    "ada@[IPv6:::1]",
    "ada@127.0.0.1",
    "ada@1.2.3.com",
    "ada@example.123",
    "ada@example.c",
    "x" * 64 + "@example.com",
    "x" * 65 + "@example.com",
    "ada@" + "x" * 63 + ".com",
    "ada@" + "x" * 64 + ".com",
    "a@" + LONG_DOMAIN,
    "ab@" + LONG_DOMAIN,
    "abc@" + LONG_DOMAIN,
    "abcd@" + LONG_DOMAIN,
    "a@b" + LONG_DOMAIN[1:-3] + "xcom",
]


def expected(address: str) -> str | None:
    try:
        return validate_email(address.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def accepted(address: str) -> str | None:
    try:
        return ADDRESS.validate_python(address)
    except ValidationError:
        return None


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_accepted_and_written_as_the_library_does(address: str) -> None:
    assert accepted(address) == expected(address)


def test_addresses_of_any_form_are_accepted_and_written_as_the_library_does() -> None:
    rng = random.Random(20_260_203)
    locals_ = ["a", "Z", "0", ".", "-", "_", "+", "ab", "é", "'", "/", " ", '"', "@", "x" * 30]
    labels = ["a", "Ex", "0", "-", "_", "xn--", "mnchen-3ya", "ü", "ß", "example", "x" * 31]
    ends = [".com", ".Org", ".de", ".test", ".local", ".1", "", ".", ".c", "。jp", ".com-"]

    different = []
    number_accepted = 0
    for _ in range(5000):
        local = "".join(rng.choices(locals_, [8] * 7 + [8] + [1] * 7, k=rng.randint(0, 6)))
        parts = (
            "".join(rng.choices(labels, k=rng.randint(1, 3))) for _ in range(rng.randint(1, 4))
        )
        address = f"{local}@{'.'.join(parts)}{rng.choice(ends)}"
        if len(address) > 254:
            continue
        number_accepted += expected(address) is not None
        if accepted(address) != expected(address):
            different.append(address)

    assert different == []
    assert number_accepted > 200


@pytest.mark.parametrize(
    ("sent", "amount"),
    [
        ("10.50", "10.50"),
        ("10.5", "10.50"),
        ("-7", "-7.00"),
        ("-0.00", "0.00"),
        ("9999999999.99", "9999999999.99"),
    ],
)
def test_an_amount_is_a_text_and_has_two_decimal_places(sent: str, amount: str) -> None:
    assert str(AMOUNT.validate_python(sent)) == amount


@pytest.mark.parametrize(
    "sent", [10.5, 10, True, None, "", "1e3", "NaN", "1.005", "10000000000.00", "\u0661", "1.00\n"]
)
def test_what_a_column_of_amounts_cannot_hold_exactly_is_refused(sent: object) -> None:
    with pytest.raises(ValidationError, match="must be a decimal number as a text"):
        AMOUNT.validate_python(sent)
