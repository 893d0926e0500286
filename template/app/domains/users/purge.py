"""A job that permanently deletes users who were soft-deleted some time ago.

`python -m app.domains.users.purge 30` purges those deleted more than 30 days ago.
"""

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
    """Purge the users who were deleted more than `days` days ago.

    Users who still have posts, orders or accounts are kept.
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
