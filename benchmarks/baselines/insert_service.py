"""W6 on a service: `python insert_service.py 50000` inserts so many users."""

import asyncio
import sys

from inserting import measured, new_users
from sqlalchemy import text

from app.core.bulk import insert_rows
from app.core.database import open_database
from app.domains.users.models import User
from app.settings import Settings


async def main(count: int) -> None:
    rows = new_users(count)
    async with open_database(Settings()) as database:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))  # connects

        async def insert() -> None:
            async with database.transaction() as session:
                await insert_rows(session, User, rows)

        await measured(insert())


asyncio.run(main(int(sys.argv[1])))
