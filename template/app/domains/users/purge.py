"""A job: `python -m app.domains.users.purge 30` deletes for good what was deleted 30 days ago."""

import argparse
import asyncio
import logging
from datetime import timedelta

from app.core.database import open_database
from app.core.logs import configure_logs
from app.core.models import utc_now
from app.core.purge import Purge, purge_deleted
from app.domains.users.models import User
from app.settings import Settings

logger = logging.getLogger(__name__)


async def purge_users(settings: Settings, *, days: int) -> Purge:
    """Delete the users who were deleted more than `days` days ago.

    One who still has posts, orders or accounts stays: these are not deleted silently.
    """
    async with open_database(settings) as database:
        deleted_before = utc_now() - timedelta(days=days)
        return await purge_deleted(database, User, deleted_before=deleted_before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("days", type=int, choices=range(3651), metavar="DAYS")
    arguments = parser.parse_args()
    settings = Settings()
    configure_logs(level=settings.log_level, json=settings.log_json)
    purge = asyncio.run(purge_users(settings, days=arguments.days))
    logger.info(
        "Purged %s users, skipped %s that are still referenced.", purge.purged, purge.skipped
    )


if __name__ == "__main__":
    main()
