"""Runs in a rendering: `python fill_users.py 1000000` makes so many users."""

import asyncio
import sys
from uuid import UUID

from app.core.bulk import insert_rows
from app.core.database import open_database
from app.domains.users.models import User
from app.settings import Settings


async def main(count: int) -> None:
    users = (
        {"id": UUID(int=number), "email": f"{number}@example.com", "full_name": f"User {number}"}
        for number in range(count)
    )
    async with open_database(Settings()) as database, database.transaction() as session:
        await insert_rows(session, User, users)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
