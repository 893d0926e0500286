"""A domain with every type of column and every kind of reference, for the tests of copies."""

import enum
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    LargeBinary,
    Numeric,
    String,
    Table,
    Time,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from app.core.models import Base, IntegerKey, LongText, Name, Record, UuidKey
from app.core.soft_delete import SoftDelete, live_or_deleted


class Color(enum.Enum):
    RED = "red"
    BLUE_GREEN = "blue green"


class Specimen(IntegerKey, Base):
    __tablename__ = "specimens"

    name: Mapped[Name | None]
    story: Mapped[LongText | None]
    picture: Mapped[bytes | None] = mapped_column(LargeBinary)
    stars: Mapped[int | None] = mapped_column(BigInteger)
    count: Mapped[int]
    doubled: Mapped[int] = mapped_column(Computed("count * 2", persisted=True))
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    value: Mapped[Decimal | None] = mapped_column(Numeric(30, 10))
    weight: Mapped[float | None] = mapped_column(Double)
    is_shown: Mapped[bool | None]
    color: Mapped[Color | None] = mapped_column(Enum(Color, name="color"))
    found_on: Mapped[date | None] = mapped_column(Date)
    opens: Mapped[time | None] = mapped_column(
        Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
    )
    seen_at: Mapped[datetime | None]
    zoned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    local_at: Mapped[datetime | None] = mapped_column(DateTime)
    label: Mapped[Any] = mapped_column(JSON, nullable=True)
    note: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    tag: Mapped[UUID | None]


class Country(Base):
    __tablename__ = "countries"

    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Team(IntegerKey, Base):
    __tablename__ = "teams"

    name: Mapped[Name]
    leader_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("people.id", use_alter=True), index=True
    )


class Person(SoftDelete, Record):
    __tablename__ = "people"
    __table_args__ = (live_or_deleted(),)

    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), index=True)
    chief_id: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"), index=True)


class Room(UuidKey, Base):
    __tablename__ = "rooms"

    inside_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id"), index=True)


class Nothing(Record):
    __tablename__ = "nothings"


members = Table(
    "members",
    Base.metadata,
    Column("team_id", ForeignKey("teams.id"), primary_key=True),
    Column("person_id", ForeignKey("people.id"), primary_key=True, index=True),
)
