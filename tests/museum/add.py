"""Adds rows whose keys the database counts up: above those that are there."""

import asyncio

from sqlalchemy import func, select

from app.core.database import open_database
from app.domains.museum.models import Specimen, Team
from app.settings import Settings


async def main() -> None:
    async with open_database(Settings()) as database, database.transaction() as session:
        for model, row in ((Team, Team(name="More")), (Specimen, Specimen(count=1))):
            largest = await session.scalar(select(func.max(model.id)))
            session.add(row)
            await session.flush()
            assert (largest, row.id) == (row.id - 1, row.id)


if __name__ == "__main__":
    asyncio.run(main())
