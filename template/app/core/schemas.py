"""What requests may hold and responses look like: field types and the base of all schemas."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError


def refuse_unstorable(value: str) -> str:
    """NUL and lone surrogates are valid JSON, but not every database and no encoder takes them."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise PydanticCustomError("text", "must not contain NUL or surrogates")
    return value


def to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("instant", "must be within the years 1 to 9999 in UTC") from None


def check_email(value: str) -> str:
    """Addresses are compared in lower case. The message does not repeat the address."""
    try:
        return validate_email(value, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise PydanticCustomError("email", "must be an e-mail address") from None


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(refuse_unstorable)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
LongText = Annotated[Text, StringConstraints(min_length=1, max_length=20_000)]
Label = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$"
    ),
]
Email = Annotated[
    Text,
    StringConstraints(max_length=254),
    AfterValidator(check_email),
    Field(examples=["ada@example.org"]),
]
Instant = Annotated[AwareDatetime, AfterValidator(to_utc)]
Cents = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000_000)]


def optional(**options: Any) -> Any:
    """A field that a partial update may leave out; sent as null it is not valid.

    What was sent is `model_dump(exclude_unset=True)`, so the default is never seen.
    """
    return Field(default_factory=lambda: None, **options)


class Request(BaseModel):
    """The base of what clients send: a field that the schema does not know is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Read(BaseModel):
    """The base of what clients get, built from records."""

    model_config = ConfigDict(from_attributes=True)


class RecordRead(Read):
    """A record with its id and history."""

    id: UUID
    created_at: datetime
    updated_at: datetime
