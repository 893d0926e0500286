"""Field types and base classes for the schemas of requests and responses."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

MAX_TEXT_BYTES = 65_535
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
AMOUNT = r"-?[0-9]{1,10}(\.[0-9]{1,2})?"  # what NUMERIC(12, 2) can hold
# These need no check by the library. A test compares the two.
PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[a-zA-Z0-9_+-]+(\.[a-zA-Z0-9_+-]+)*", re.ASCII)


def refuse_unstorable(value: str) -> str:
    """Refuse NUL and lone surrogates: valid JSON that not every database or encoder accepts."""
    if UNSTORABLE.search(value):
        raise PydanticCustomError("text", "must not contain NUL or surrogates")
    return value


def fit_into_text_column(value: str) -> str:
    """Limit a long text to 65,535 bytes, the smallest limit of the supported databases."""
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise PydanticCustomError("text", "must be at most 65535 bytes long in UTF-8")
    return value


def to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("instant", "must be within the years 1 to 9999 in UTC") from None


def refuse_numbers(value: Any) -> Any:
    """Accept a decimal number as text only: many clients read a number of JSON as a float."""
    if isinstance(value, Decimal) or (isinstance(value, str) and re.fullmatch(AMOUNT, value)):
        return value
    raise PydanticCustomError("amount", "must be a decimal number as a text, such as 10.50")


def to_cents(value: Decimal) -> Decimal:
    """Return the number with two decimal places, as a column does, and zero without a sign."""
    return value.quantize(Decimal("0.01")) + 0


@lru_cache(10_000)
def check_domain(domain: str) -> str:
    """Return the domain as the library writes it. The library takes 0.1 ms for an address."""
    # The shortest local part, because the library limits the length of the whole address.
    address = validate_email(f"a@{domain}", check_deliverability=False).normalized
    return address.removeprefix("a@")


def check_email(value: str) -> str:
    """Return the address in lower case. The error message does not repeat it."""
    local, _, domain = value.rpartition("@")
    try:
        if domain.isascii() and PLAIN_LOCAL_PART.fullmatch(local):
            return f"{local}@{check_domain(domain)}".lower()
        return validate_email(value, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise PydanticCustomError("email", "must be an e-mail address") from None


PlainText = Annotated[
    str, StringConstraints(strip_whitespace=True), AfterValidator(refuse_unstorable)
]
Name = Annotated[PlainText, StringConstraints(min_length=1, max_length=200)]
ShortText = Name
LongText = Annotated[
    PlainText,
    StringConstraints(min_length=1, max_length=20_000),
    AfterValidator(fit_into_text_column),
]
Slug = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$"
    ),
]
Email = Annotated[
    PlainText,
    StringConstraints(max_length=254),
    AfterValidator(check_email),
    Field(examples=["ada@example.org"], json_schema_extra={"format": "email"}),
]
Instant = Annotated[AwareDatetime, AfterValidator(to_utc)]
Cents = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000_000)]
Amount = Annotated[
    Decimal,
    BeforeValidator(refuse_numbers),
    AfterValidator(to_cents),
    WithJsonSchema({"type": "string", "pattern": f"^{AMOUNT}$", "examples": ["10.50"]}),
]
# What columns of the types INTEGER and BIGINT can hold.
Int32 = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]


def optional(**options: Any) -> Any:
    """Return a field that a partial update may omit. `null` is not valid.

    The default is never used: read the values with `model_dump(exclude_unset=True)`.
    """
    return Field(default_factory=lambda: None, **options)


class RequestModel(BaseModel):
    """The base of request schemas. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ResponseModel(BaseModel):
    """The base of response schemas, which can be built from records."""

    model_config = ConfigDict(from_attributes=True)


class RecordRead(ResponseModel):
    """A record with its id and timestamps."""

    id: UUID
    created_at: datetime
    updated_at: datetime


def name_fields(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Return pydantic's errors without values. Names come from clients: they are escaped."""

    def name(part: object) -> str:
        return str(part)[:100].encode("ascii", "backslashreplace").decode()

    def message(error: Any) -> str:
        text: str = error["msg"]
        # "Input should be a valid UUID, invalid character: found `x` at 1"
        return text.partition(",")[0] if error["type"].endswith("_parsing") else text

    return [
        {"field": ".".join(map(name, error["loc"])), "message": message(error)} for error in errors
    ]


# The names before 0.4, which were also names of classes in FastAPI and SQLAlchemy.
Label = Slug
Read = ResponseModel
Request = RequestModel
Text = PlainText
