"""Adds a row that not every database can hold: `python -m app.domains.museum.add_extreme story`."""

import asyncio
import sys
from decimal import Decimal

from app.core.database import open_database
from app.domains.museum.models import Specimen
from app.settings import Settings

VALUES = {
    "story": "before\x00after",
    "value": Decimal("12345678901234567890.0123456789"),
    "weight": float("nan"),
    "label": {"number": 10**25},
}


async def main() -> None:
    async with open_database(Settings()) as database, database.transaction() as session:
        session.add(Specimen(count=1, **{name: VALUES[name] for name in sys.argv[1:]}))


if __name__ == "__main__":
    asyncio.run(main())
