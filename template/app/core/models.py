"""The base class of all tables, portable types, mixins, column types, naming convention."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Dialect, Index, MetaData, String, Text, event
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator
from uuid_utils.compat import uuid7

from app.core import driver


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in, the same instant in UTC out, with microseconds.

    A naive datetime could mean any instant: it is a `ValueError`.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A datetime needs a time zone.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Base(AsyncAttrs, DeclarativeBase):
    """The base of all tables. A plain `Mapped[datetime]` or `Mapped[UUID]` is portable."""

    # A migration can only drop a constraint that has a name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), str: String(255)}


class UuidKey:
    """A key that the service generates, ordered by time: RFC 9562, version 7.

    It is set in the constructor, before the record is stored: relationships can be set at once, and
    one statement inserts many records on every database.
    """

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)


@event.listens_for(UuidKey, "init", propagate=True)
def set_id(_: UuidKey, __: Any, kwargs: dict[str, Any]) -> None:
    kwargs.setdefault("id", uuid7())


class IntegerKey:
    """A key that the database increments, for tables whose ids no client sees."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)


class Timestamps:
    """When the row was created and last changed. The service sets both; raw SQL has to."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=1)


class Record(UuidKey, Timestamps, Base):
    """The base of most tables: a UUID key and timestamps."""

    __abstract__ = True


# Column types by what they hold: `full_name: Mapped[Name]`.
Name = Annotated[str, mapped_column(String(200))]
LongText = Annotated[str, mapped_column(Text)]
Cents = Annotated[int, mapped_column(BigInteger)]


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the rows for which `where` is true, if the database has such indexes."""
    return Index(name, *columns, **driver.partial_index(where))
