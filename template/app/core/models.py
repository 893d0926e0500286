"""The base class of all tables, mixins, portable column types and naming conventions."""

import enum
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    event,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator
from uuid_utils.compat import uuid7

from app.core import driver


class UtcDateTime(TypeDecorator[datetime]):
    """Store an aware datetime and return the same instant in UTC, with microseconds.

    Raise `ValueError` for a naive datetime, which is ambiguous.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A datetime needs a time zone.")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Do without the calls of `TypeDecorator`, and without any if the driver returns UTC."""
        if driver.returns_utc(dialect):
            return None
        of_the_database = self.impl_instance.dialect_impl(dialect)
        if of_the_database.result_processor(dialect, coltype) is None:
            return as_utc
        return super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return as_utc(value)


def as_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Choice(enum.StrEnum):
    """The base of enums for columns: `status: Mapped[OrderStatus]`.

    The column is a text of at most 50 characters with the value, and has a CHECK constraint, named
    after it. If the values change, Alembic generates a revision that replaces the constraint.
    """


class Base(AsyncAttrs, DeclarativeBase):
    """The base of all tables. `Mapped[datetime]` and `Mapped[UUID]` use portable types."""

    # A migration can only drop a constraint by name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime(),
        str: String(255),
        Choice: Enum(
            enum.Enum,  # replaced by the enum of the column
            values_callable=lambda choice: [each.value for each in choice],
            native_enum=False,
            length=50,
        ),
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(table := vars(cls).get("__table__"), Table):
            check_choices(table)


def check_choices(table: Table) -> None:
    """Add a CHECK constraint for each column whose type is a `Choice`."""
    for column in table.columns:
        choice = getattr(column.type, "enum_class", None)
        if choice is not None and issubclass(choice, Choice):
            condition = type_coerce(column, String).in_([each.value for each in choice])
            table.append_constraint(CheckConstraint(condition, name=column.name))


class UuidKey:
    """A key that the service generates, ordered by time: UUID version 7 of RFC 9562.

    It is set in the constructor, so other records can refer to it before it is stored, and every
    database can insert many records with one statement.
    """

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)


@event.listens_for(UuidKey, "init", propagate=True)
def set_id(_: UuidKey, __: Any, kwargs: dict[str, Any]) -> None:
    kwargs.setdefault("id", uuid7())


class IntegerKey:
    """A key that the database increments, for tables whose ids are not visible to clients."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)


class Timestamps:
    """When the row was created and last changed. The ORM sets both; raw SQL must set them."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=1)


class Record(UuidKey, Timestamps, Base):
    """The base of most tables: a UUID key and timestamps."""

    __abstract__ = True


# Column types by meaning: `full_name: Mapped[Name]`.
Name = Annotated[str, mapped_column(String(200))]
ShortText = Name
LongText = Annotated[str, mapped_column(Text)]
Cents = Annotated[int, mapped_column(BigInteger)]
Amount = Annotated[Decimal, mapped_column(Numeric(12, 2))]


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index of the rows that match `where`, or of all rows if that is not supported."""
    return Index(name, *columns, info={"where": where}, **driver.partial_index(where))
