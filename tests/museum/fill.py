"""Rows with the values that are most easily lost; and as many plain ones as are asked for."""

import asyncio
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, null, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bulk import insert_rows
from app.core.database import open_database
from app.domains.museum.models import Color, Country, Person, Room, Specimen, Team, members
from app.settings import Settings

PAST = datetime(2001, 2, 3, 4, 5, 6, 789, UTC)
DOCUMENT: dict[str, Any] = {
    "z": [1, 1.5, -0.25, 9007199254740993, True, False, None, "", {"a": {}, "b": []}],
    "a": "Zoë 🦊 e\u0301 \\ \" ' %",
    "🦊": {"": 0.1, "tiny": 5e-324},
}
TEXTS = ["", " ", "a ", "A", "Zoë e\u0301", "🦊👩‍👩‍👧", "%s :x \\ ' \" \n\t\r", "null", "x" * 200]
SPECIMENS: list[dict[str, Any]] = [
    {"id": 0, "count": 0},
    {"id": 7, "count": -1, "label": JSON.NULL, "note": JSON.NULL, "story": "", "picture": b""},
    {"id": 8, "count": 2**30 - 1, "label": null(), "note": null(), "stars": 2**63 - 1},
    {"id": 9, "count": 1 - 2**30, "stars": -(2**63), "label": DOCUMENT, "note": DOCUMENT},
    {"id": 10, "count": 1, "label": [], "note": {}, "price": Decimal("9999999999.99")},
    {"id": 11, "count": 1, "label": 0, "note": "", "price": Decimal("-0.01"), "weight": 0.1},
    {"id": 12, "count": 1, "label": False, "note": 1.5, "price": Decimal(0), "weight": 5e-324},
    {"id": 13, "count": 1, "weight": 1.7976931348623157e308, "picture": bytes(range(256))},
    {"id": 19, "count": 1, "value": Decimal("12345.0123456789")},
    {"id": 14, "count": 1, "weight": -1 / 3, "is_shown": True, "color": Color.BLUE_GREEN},
    {"id": 15, "count": 1, "weight": 1e22, "is_shown": False, "color": Color.RED},
    {"id": 16, "count": 1, "found_on": date(1, 1, 1), "opens": time(0), "seen_at": PAST},
    {"id": 17, "count": 1, "found_on": date(9999, 12, 31), "opens": time(23, 59, 59, 999999)},
    {
        "id": 18,
        "count": 1,
        "seen_at": datetime(2024, 3, 31, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        "zoned_at": PAST,
        "local_at": datetime(2024, 3, 31, 2, 30, 0, 1),  # noqa: DTZ001 - without a zone
        "tag": UUID(int=0),
    },
    {"id": 10**15, "count": 1, "story": "🦊" * 10_000, "picture": b"\x00\\'\"\n" * 10_000},
    *(
        {"id": 100 + number, "count": number, "name": text, "tag": UUID(int=number)}
        for number, text in enumerate(TEXTS)
    ),
]


async def fill(session: AsyncSession) -> None:
    if session.get_bind().dialect.name == "mysql":
        await session.execute(text("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"))
    session.add_all(Specimen(**values) for values in SPECIMENS)
    codes = ("de", "DE", "dé", "", "🦊")
    session.add_all(Country(code=code, at=number) for number, code in enumerate(codes))
    teams = [Team(id=number, name=f"Team {number}") for number in (0, 1, 5)]
    session.add_all(teams)
    await session.flush()
    people = [Person(team_id=teams[number % 3].id) for number in range(60)]
    session.add_all(people)
    people[3].mark_deleted()
    for number in range(40):  # the first is inside itself, and the last has the smallest id
        inside = UUID(int=100 - max(0, number - 1))
        session.add(Room(id=UUID(int=100 - number), inside_id=inside))
        await session.flush()
    teams[0].leader_id, teams[1].leader_id = people[0].id, people[59].id
    for number, person in enumerate(people):
        person.chief_id = people[(number * 7 + 5) % 60].id if number else None
    await session.flush()
    pairs = [{"team_id": team.id, "person_id": person.id} for team in teams for person in people]
    await session.execute(members.insert(), pairs)
    await session.execute(update(Person).values(created_at=PAST, updated_at=PAST))


async def main() -> None:
    async with open_database(Settings()) as database, database.transaction() as session:
        await fill(session)
        for count in sys.argv[1:]:
            teams = ({"id": 1000 + number, "name": "Plain"} for number in range(int(count)))
            await insert_rows(session, Team, teams)


if __name__ == "__main__":
    asyncio.run(main())
