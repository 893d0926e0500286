"""Why a command could not use the database, in one sentence without secrets."""

from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.core import driver
from app.core.health import HOW_TO_START_IT


def explain(error: BaseException, settings: Any) -> str:
    """Return one sentence on what is wrong, and what to do."""
    url: URL = settings.primary_url
    address = url.set(username=None, password=None, query={})
    if isinstance(error, DBAPIError) and driver.failure_of(error) is None:
        return f"{address} refused a statement: {driver.details_of(error).get('reason')}."
    reason = str(getattr(error, "orig", None) or error) or type(error).__name__
    return f"{address} cannot be used: {reason}. {HOW_TO_START_IT}"
