"""Run Alembic's migrations without blocking the running service."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

from alembic import context
from alembic.util import CommandError
from pydantic import Field, ValidationError, create_model
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core import driver
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings, parse_url, public_address

PAUSE_SECONDS = 1.0
CONNECT_ERRORS: tuple[type[Exception], ...] = (DBAPIError, *driver.ERRORS)

logger = logging.getLogger(__name__)

ALWAYS_THE_SAME = ("Context impl", "Will assume")  # the beginnings of what each command logs


def read_settings(settings: type[CoreSettings]) -> CoreSettings:
    """Read the settings. If that fails, read them without validating the service's own.

    Missing settings of the service are then `None`. The defaults and sources of `settings` are
    kept.
    """
    try:
        return settings()
    except ValidationError:
        own = settings.model_fields.keys() - CoreSettings.model_fields.keys()
        options: Any = {name: (Any, Field(default=None, validate_default=False)) for name in own}
        options["__cls_kwargs__"] = {"extra": "ignore"}  # their aliases
        needed = create_model(settings.__name__, __base__=settings, **options)
        return needed()


def is_news(record: logging.LogRecord) -> bool:
    """Return whether Alembic logs what it does, and not which database it is on."""
    return not record.getMessage().startswith(ALWAYS_THE_SAME)


async def migrate(settings: CoreSettings, configure: Callable[..., None]) -> None:
    """Run the command's revisions on the database in the settings.

    Raise `CommandError` if the database cannot be reached, and as `run_migrations` does.
    """
    async with AsyncExitStack() as stack:
        connection = await connect(settings, stack)
        await connection.run_sync(run_migrations, settings, configure)


async def connect(settings: CoreSettings, stack: AsyncExitStack) -> AsyncConnection:
    *first, last = migration_urls(settings)
    for url in first:
        with suppress(*CONNECT_ERRORS):
            return await open_connection(url, settings, stack)
    try:
        return await open_connection(last, settings, stack)
    except CONNECT_ERRORS as error:
        raise cannot_connect(last, settings, error) from error


async def open_connection(
    url: URL, settings: CoreSettings, stack: AsyncExitStack
) -> AsyncConnection:
    engine = create_engine(url, settings, "migrate")
    stack.push_async_callback(engine.dispose)
    return await stack.enter_async_context(engine.connect())


def migration_urls(settings: CoreSettings) -> list[URL]:
    """Return the URL for migrations, or for the database for development those to try in turn.

    Its role for migrations is missing if an earlier compose.yaml has made it. There, the role of
    the service owns the tables.
    """
    if settings.database_migration_url is not None:
        return [parse_url(settings.database_migration_url)]
    if settings.database_url.get_secret_value() != driver.DEFAULT_URL:
        return [settings.primary_url]
    return [make_url(driver.DEFAULT_MIGRATION_URL), settings.primary_url]


def cannot_connect(url: URL, settings: CoreSettings, error: Exception) -> CommandError:
    address = public_address(url)
    reason = str(getattr(error, "orig", error)) or type(error).__name__
    name = "DATABASE_URL" if settings.database_migration_url is None else "DATABASE_MIGRATION_URL"
    return CommandError(
        f"Cannot connect to {address}: {reason}. Is the database running, and is {name} right?"
    )


def run_migrations(
    connection: Connection, settings: CoreSettings, configure: Callable[..., None]
) -> None:
    """Run the command's revisions, one process at a time.

    While a migration waits for a lock on a table, other transactions queue behind it. It therefore
    waits only briefly, lets them proceed, and tries again. Raise `CommandError` after the last
    attempt, or if a statement fails.
    """
    connection = connection.execution_options(lock_attempts=settings.database_migration_attempts)
    configure(connection=connection)
    steps = Steps(context.get_context().opts["fn"])
    try:
        with driver.migration_lock(connection):
            run_again(connection, settings, configure, steps)
    except TimeoutError as error:
        raise CommandError(str(error)) from error
    except DBAPIError as error:
        is_busy = driver.failure_of(error) is Failure.BUSY
        reason = waited_too_long(settings) if is_busy else failed(connection, steps, error)
        statement = " ".join(str(error.statement).split())[:200]
        raise CommandError(f"{reason} The statement was: {statement}") from error


def waited_too_long(settings: CoreSettings) -> str:
    return (
        "Another transaction holds a lock that the migration needs, for longer than"
        f" {settings.database_migration_attempts} times"
        f" {settings.database_migration_lock_timeout_seconds:g} seconds"
        " (DATABASE_MIGRATION_ATTEMPTS, DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS):"
        " end that transaction, then run the command again."
    )


def failed(connection: Connection, steps: "Steps", error: DBAPIError) -> str:
    """Say which revision failed, where the database is now, and what to do."""
    reason = driver.details_of(error).get("reason") or str(error.orig)
    step = steps.left[0] if steps.left else None
    what = f"The {step.name} of revision {step.info.up_revision_id}" if step else "The migration"
    if connection.invalidated:
        return f"{what} failed: {reason}. `alembic current` says where the database is."
    connection.rollback()
    migration = context.get_context()
    place = ", ".join(migration.get_current_heads()) or "before the first revision"
    undone = (
        "Nothing of the revision was applied."
        if migration.impl.transactional_ddl
        else "What the revision did before this statement is not undone: undo it by hand."
    )
    return (
        f"{what} failed: {reason}. The database is at: {place}. {undone}"
        " Correct the revision, then run the command again."
    )


def run_again(
    connection: Connection,
    settings: CoreSettings,
    configure: Callable[..., None],
    steps: "Steps",
) -> None:
    """Retry a revision that is a transaction. Otherwise the driver retries single statements."""
    attempts = settings.database_migration_attempts
    if not context.get_context().impl.transactional_ddl:
        attempts = 1
    for attempt in range(1, attempts + 1):
        configure(connection=connection, fn=steps)
        try:
            with context.begin_transaction():
                context.run_migrations()
        except DBAPIError as error:
            if driver.failure_of(error) is not Failure.BUSY or attempt == attempts:
                raise
            connection.rollback()
            logger.warning("Another transaction holds a lock that the migration needs.")
            time.sleep(PAUSE_SECONDS)
        else:
            return


class Steps:
    """The remaining revisions, resolved once: a retry of `downgrade -2` must not move on."""

    def __init__(self, find: Callable[..., Any]) -> None:
        self.find = find
        self.left: list[Any] | None = None

    def __call__(self, heads: Any, migration: Any) -> Iterator[Any]:
        each_commits = driver.MIGRATION_OPTIONS.get("transaction_per_migration", False)
        if self.left is None or not each_commits:
            self.left = list(self.find(heads, migration))
        while self.left:
            yield self.left[0]
            del self.left[0]
