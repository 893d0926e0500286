"""Tables with every kind of value and reference, and rows for them."""

import enum
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable

from app.core.models import Base, UtcDateTime, utc_now

METADATA = sa.MetaData(naming_convention=Base.metadata.naming_convention)
REVISION = "lab"
PAST = datetime(2001, 2, 3, 4, 5, 6, 789, UTC)
COUNT = 300


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


VALUES = Table(
    "copy_values",
    METADATA,
    Column("id", sa.BigInteger, primary_key=True),
    Column("number", sa.BigInteger),
    Column("count", sa.Integer),
    Column("doubled", sa.Integer, sa.Computed("count * 2", persisted=True)),
    Column("text", sa.String(50)),
    Column("bytes", sa.LargeBinary),
    Column("price", sa.Numeric(12, 2)),
    Column("ratio", sa.Double),
    Column("is_on", sa.Boolean),
    Column("color", sa.Enum(Color, name="color")),
    Column("day", sa.Date),
    Column("opens", sa.Time),
    Column("instant", UtcDateTime),
    Column("zoned", sa.DateTime(timezone=True)),
    Column("local", sa.DateTime),
    Column("document", sa.JSON),
    Column("uuid", sa.Uuid),
)
TEAMS = Table(
    "copy_teams",
    METADATA,
    Column("id", sa.Integer, primary_key=True),
    Column("leader", ForeignKey("copy_people.id", use_alter=True)),
    Column("updated_at", UtcDateTime, default=utc_now, onupdate=utc_now),
)
PEOPLE = Table(
    "copy_people",
    METADATA,
    Column("id", sa.Uuid, primary_key=True),
    Column("team", ForeignKey("copy_teams.id"), nullable=False),
    Column("chief", ForeignKey("copy_people.id")),
    Column("updated_at", UtcDateTime, default=utc_now, onupdate=utc_now),
)
ROOMS = Table(
    "copy_rooms",
    METADATA,
    Column("id", sa.Integer, primary_key=True, autoincrement=False),
    Column("inside", ForeignKey("copy_rooms.id"), nullable=False),
)
PAIRS = Table(
    "copy_pairs",
    METADATA,
    Column("team", ForeignKey("copy_teams.id"), primary_key=True),
    Column("word", sa.String(50), primary_key=True),
)
NUMBERS = Table(  # its keys are set by the database only
    "copy_numbers",
    METADATA,
    Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    Column("text", sa.String(50)),
)
LINES = Table("copy_lines", METADATA, Column("text", sa.Text))
EMPTY = Table("copy_empty", METADATA, Column("id", sa.Uuid, primary_key=True))
# What is not copied.
OTHERS = sa.MetaData()
VERSION = Table("alembic_version", OTHERS, Column("version_num", sa.String(32)))
STRANGER = Table("stranger", OTHERS, Column("text", sa.Text))

WORDS = ["", " ", "a", "A", "é", "e\u0301", "🦊", "%s :x \\ ' \"", "null"]
KEYS = [word for word in WORDS if word != " "]  # some databases take it for an equal key of ""
DOCUMENTS: list[Any] = [{"z": [1, 1.5, None, True], "a": "🦊"}, [], {}, 0, "", False, sa.JSON.NULL]
ROWS: list[dict[str, Any]] = [
    {"count": -3, "document": sa.null()},
    {"number": 2**63 - 1, "bytes": bytes(range(256)), "price": Decimal("9999999999.99")},
    {"number": -(2**63), "bytes": b"", "price": Decimal("-0.01"), "ratio": -1 / 3},
    {"ratio": 1.7976931348623157e308, "is_on": True, "color": Color.BLUE},
    {"ratio": 5e-324, "is_on": False, "color": Color.RED, "uuid": UUID(int=1)},
    {"day": date(1, 1, 1), "opens": time(0), "instant": PAST, "zoned": PAST},
    {"day": date(9999, 12, 31), "opens": time(23, 59, 59), "local": PAST.replace(tzinfo=None)},
    *({"text": word} for word in WORDS),
    *({"document": document} for document in DOCUMENTS),
]


async def create_tables(connection: AsyncConnection) -> None:
    """Create all tables, empty, as a revision would."""
    for metadata in (METADATA, OTHERS):
        await connection.run_sync(metadata.drop_all)
    await connection.run_sync(METADATA.create_all)
    await connection.execute(CreateTable(VERSION))
    await connection.execute(VERSION.insert().values(version_num=REVISION))


async def fill(connection: AsyncConnection) -> None:
    blank = dict.fromkeys(set(VALUES.c.keys()) - {"doubled"}) | {"document": sa.null()}
    rows = [{**blank, **row, "id": number} for number, row in enumerate(ROWS, start=1)]
    await connection.execute(VALUES.insert(), rows)
    await connection.execute(TEAMS.insert(), [{"id": 1}, {"id": 5}])
    ids = [UUID(int=(number * 7919) % 2**32) for number in range(COUNT)]
    people = [{"id": key, "team": 1, "updated_at": PAST} for key in ids]
    await connection.execute(PEOPLE.insert(), people)
    chiefs = [{"key": key, "chief": chief} for key, chief in pairwise([*ids, ids[5]])]
    matches = PEOPLE.c.id == sa.bindparam("key")
    await connection.execute(PEOPLE.update().where(matches).values(updated_at=PAST), chiefs)
    await connection.execute(TEAMS.update().values(leader=ids[9], updated_at=PAST))
    for number in range(40, 0, -1):  # each is inside the next one
        await connection.execute(ROOMS.insert().values(id=number, inside=min(40, number + 1)))
    pairs = [{"team": 5, "word": word} for word in KEYS]
    await connection.execute(PAIRS.insert(), pairs)
    await connection.execute(NUMBERS.insert(), [{"text": word} for word in WORDS])
    await connection.execute(LINES.insert(), [{"text": "twice"}, {"text": "twice"}])


async def read(connection: AsyncConnection) -> dict[str, list[str]]:
    """All rows of all tables, as text, in an order that does not depend on the database."""
    found = {}
    for table in METADATA.sorted_tables:
        documents = [each.is_(sa.null()) for each in table.c if isinstance(each.type, sa.JSON)]
        rows = await connection.execute(sa.select(*table.c, *documents))
        found[table.name] = sorted(str(tuple(row)) for row in rows)
    return found
