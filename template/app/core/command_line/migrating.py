"""Alembic's commands, with the settings of the service."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.core.command_line.output import INTERRUPTED, fail, load_settings

# `-1` is a number of revisions, not an option.
WITH_NEGATIVE_NUMBERS = {"ignore_unknown_options": True}


def upgrade_command(
    revision: Annotated[
        str, typer.Argument(help="A revision, or a number of revisions such as +1.")
    ] = "head",
) -> None:
    """Create and change the tables: run the new revisions."""
    run_alembic(lambda command, config: command.upgrade(config, revision))


def downgrade_command(
    revision: Annotated[
        str, typer.Argument(help="A revision, a number of revisions such as -1, or base.")
    ],
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, where ENVIRONMENT is not development.")
    ] = False,
) -> None:
    """Go back to an older revision, and delete data.

    The tables and columns that newer revisions have created are deleted, with their data.
    """
    if load_settings().is_public and not yes:
        typer.confirm(
            "This deletes tables or columns, with their data. Go on?", abort=True, err=True
        )
    run_alembic(lambda command, config: command.downgrade(config, revision))


def revision_command(
    message: Annotated[str, typer.Option("--message", "-m", help="What it does, in a few words.")],
    *,
    empty: Annotated[
        bool, typer.Option("--empty", help="Do not compare models and tables: write it by hand.")
    ] = False,
) -> None:
    """Write a revision from what differs. Review it.

    It compares the models with the tables. The database must be at the newest revision.
    """
    run_alembic(lambda command, config: command.revision(config, message, autogenerate=not empty))


def check_command() -> None:
    """Fail if the models differ from the tables."""
    run_alembic(lambda command, config: command.check(config))


def sql_command(
    revisions: Annotated[
        str, typer.Argument(help="A revision, or two with a colon in between: from:to.")
    ] = "head",
    *,
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="The SQL of a downgrade: it needs from:to.")
    ] = False,
) -> None:
    """Print the SQL of revisions, and execute nothing."""
    run_alembic(
        lambda command, config: (command.downgrade if downgrade else command.upgrade)(
            config, revisions, sql=True
        )
    )


def run_alembic(call: Callable[[Any, Any], object]) -> None:
    """Run a command of Alembic, or fail with its error in one sentence."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    from app.core.application import find_pyproject

    pyproject = find_pyproject()
    load_settings_of_the_database()
    try:
        call(command, Config(toml_file=pyproject))
    except CommandError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("Interrupted. `app db ping` says at which revision the database is.", INTERRUPTED)


def load_settings_of_the_database() -> Any:
    """As migrations do: without the service's own settings, if those are invalid."""
    from pydantic import ValidationError

    from app.core.command_line.output import describe_invalid
    from app.core.migrations import read_settings
    from app.settings import Settings

    try:
        return read_settings(Settings)
    except ValidationError as error:
        fail(describe_invalid(error))
