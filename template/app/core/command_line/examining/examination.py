"""Examine the database: each check by itself, so that one that fails does not stop the others."""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import driver
from app.core.command_line.examining.connection_budget import ConnectionBudget
from app.core.command_line.examining.findings import Check, Finding, QueryCheck, Severity
from app.core.command_line.examining.health_checks import CHECKS
from app.core.command_line.examining.revision_checks import check_revisions_and_tables
from app.core.command_line.examining.schema_checks import check_tables
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings

# All but those of the driver: revisions, tables, and the budget of connections.
NUMBER_OF_CHECKS = len(CHECKS) + 3


async def examine(
    settings: CoreSettings,
    *,
    workers: int = 1,
    replicas: int = 1,
    checks: Sequence[Check] = CHECKS,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """Return the findings, the worst first. Raise an error only if there is no connection.

    `workers` and `replicas` are the number of processes of each replica of the service, and of
    replicas. `advance` is called with 1 after each check.
    """
    budget = ConnectionBudget(settings, workers * replicas)
    engine = create_engine(settings.primary_url, settings, "read", pool_size=1, max_overflow=0)
    try:
        async with engine.connect():
            pass
        findings = await check_revisions_and_tables(settings)
        advance(1)
        all_checks: list[Check] = [check_tables, *checks, budget]
        for check in all_checks:
            findings += await run_check(
                check, engine, timeout=settings.database_statement_timeout_seconds
            )
            advance(1)
    finally:
        await engine.dispose()
    order = list(Severity)
    return sorted(findings, key=lambda each: order.index(each.severity))


async def run_check(check: Check, engine: AsyncEngine, *, timeout: float) -> Sequence[Finding]:  # noqa: ASYNC109 - a file has no other
    """Return the findings of the check, or a note if it takes too long or is refused.

    Raise `DBAPIError` if the database cannot be reached any more.
    """
    try:
        async with asyncio.timeout(timeout), engine.connect() as connection:
            return await check(connection)
    except TimeoutError:
        reason = f"It takes longer than {timeout:g} seconds"
    except DBAPIError as error:
        if driver.failure_of(error) is Failure.UNAVAILABLE:
            raise
        details = driver.details_of(error)
        reason = details.get("reason") or f"The database refuses it with error {details['code']}"
    return [not_examined(check, reason)]


def not_examined(check: Check, reason: str) -> Finding:
    name = getattr(check, "name", "") or getattr(check, "__name__", "").partition("_")[2]
    grant = check.grant if isinstance(check, QueryCheck) else ""
    return Finding(
        "not-examined",
        Severity.NOTE,
        f"{name.replace('_', '-')}: {reason.rstrip('.')}.",
        "What is wrong there stays unseen.",
        grant or "Run the command again, as a role that may read this.",
    )
