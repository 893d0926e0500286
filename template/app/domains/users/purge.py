"""A job: `python -m app.domains.users.purge 30` deletes for good what was deleted 30 days ago."""

import argparse
import asyncio
import logging
from datetime import timedelta

from app.core.database import open_database
from app.core.logs import configure_logs
from app.core.models import utc_now
from app.domains.users.repository import UserRepository
from app.settings import Settings

logger = logging.getLogger(__name__)


async def purge_users(settings: Settings, *, days: int) -> int:
    """Delete the users who were deleted more than `days` days ago; return how many.

    One who still has posts, orders or accounts stops the job: these are not deleted silently.
    """
    async with open_database(settings) as database, database.transaction() as session:
        return await UserRepository(session).purge(deleted_before=utc_now() - timedelta(days=days))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("days", type=int, choices=range(3651), metavar="DAYS")
    arguments = parser.parse_args()
    settings = Settings()
    configure_logs(level=settings.log_level, json=settings.log_json)
    count = asyncio.run(purge_users(settings, days=arguments.days))
    logger.info("Purged %s users.", count)


if __name__ == "__main__":
    main()
