"""Run Alembic's migrations without blocking the running service."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from alembic import context
from alembic.util import CommandError
from pydantic import Field, ValidationError, create_model
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.core import driver
from app.core.failures import Failure
from app.core.settings import CoreSettings

PAUSE_SECONDS = 1.0

logger = logging.getLogger(__name__)


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


def run_migrations(
    connection: Connection, settings: CoreSettings, configure: Callable[..., None]
) -> None:
    """Run the command's revisions, one process at a time.

    While a migration waits for a lock on a table, other transactions queue behind it. It therefore
    waits only briefly, lets them proceed, and tries again. Raise `CommandError` after the last
    attempt.
    """
    connection = connection.execution_options(lock_attempts=settings.database_migration_attempts)
    try:
        with driver.migration_lock(connection):
            run_again(connection, settings, configure)
    except TimeoutError as error:
        raise CommandError(str(error)) from error
    except DBAPIError as error:
        if driver.failure_of(error) is not Failure.BUSY:
            raise
        raise CommandError(
            "Another transaction holds a lock that the migration needs, for longer than"
            f" {settings.database_migration_attempts} times"
            f" {settings.database_migration_lock_timeout_seconds:g} seconds"
            " (DATABASE_MIGRATION_ATTEMPTS, DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS):"
            " end that transaction, then run the command again."
            f" It waited in: {' '.join(str(error.statement).split())[:200]}"
        ) from error


def run_again(
    connection: Connection, settings: CoreSettings, configure: Callable[..., None]
) -> None:
    """Retry a revision that is a transaction. Otherwise the driver retries single statements."""
    configure(connection=connection)
    attempts = settings.database_migration_attempts
    if not context.get_context().impl.transactional_ddl:
        attempts = 1
    steps = Steps(context.get_context().opts["fn"])
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
