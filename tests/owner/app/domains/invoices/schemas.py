from datetime import date, datetime
from typing import Annotated

from pydantic import StringConstraints

from app.core.schemas import Cents, LongText, Name, Read, RecordRead, Request, Text

Number = Annotated[Text, StringConstraints(min_length=1, max_length=20)]


class LineCreate(Request):
    text: LongText
    cents: Cents


class InvoiceCreate(Request):
    number: Number
    customer: Name
    due_on: date
    lines: list[LineCreate] = []


class InvoiceUpsert(Request):
    number: Number
    customer: Name
    due_on: date


class LineRead(Read):
    text: str
    cents: int


class InvoiceRead(RecordRead):
    number: str
    customer: str
    due_on: date
    paid_at: datetime | None


class InvoiceWithLines(InvoiceRead):
    lines: list[LineRead]


class CustomerTotal(Read):
    customer: str
    cents: int
