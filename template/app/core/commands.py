"""The command line of the service: `uv run app`, or `python -m app.core.commands`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from app.core.command_line.database import database
from app.core.command_line.domains import WithDomains
from app.core.command_line.new import new
from app.core.command_line.output import (
    INTERRUPTED,
    MARKUP_MODE,
    describe_invalid,
    fail,
    load_settings,
    run,
)
from app.core.command_line.purging import purge_command
from app.core.command_line.routes import routes_command

__all__ = ["command_line", "data"]

command_line = typer.Typer(
    cls=WithDomains,
    no_args_is_help=True,
    add_completion=False,
    # Do not show the values of variables in tracebacks: a URL may contain a password.
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP_MODE,
)
data = typer.Typer(no_args_is_help=True, help="Work with all data of the service.")
command_line.add_typer(database, name="db")
command_line.add_typer(data, name="data")
command_line.add_typer(new, name="new")
command_line.command("routes")(routes_command)
command_line.command("purge")(purge_command)


@command_line.command("check")
def check_command() -> None:
    """Check that the settings are valid and safe.

    With others, the service does not start where it runs.
    """
    from pydantic import ValidationError

    from app.core.safety import unsafe_settings

    try:
        from app.main import app
    except ValidationError as error:
        fail(describe_invalid(error))
    if reasons := unsafe_settings(app):
        fail("\n".join(reasons))
    typer.echo("The settings are valid, and safe for the ENVIRONMENT that they name.")


@data.command("copy")
def copy_command(
    source: Annotated[
        str,
        typer.Option("--from", metavar="URL", envvar="COPY_FROM", help="The database to read."),
    ],
    target: Annotated[
        str,
        typer.Option("--to", metavar="URL", envvar="COPY_TO", help="The database to fill."),
    ],
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Complete an interrupted copy: keep its rows.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete all rows of the target first.")
    ] = False,
    ignore_unknown_tables: Annotated[
        bool, typer.Option("--ignore-unknown-tables", help="Leave out tables without a model.")
    ] = False,
) -> None:
    """Copy all rows to another database, and verify the copy.

    It may be of another kind. Create its tables first: alembic upgrade head. The source is not
    changed.
    """
    if resume and replace:
        fail("Use either --resume or --replace: the first keeps rows that the second deletes.")
    if find_spec("data_copy") is None:
        fail("The folder data_copy is not here: run this in a checkout of the service.")
    # Imported by name: only this command needs it, and images do not contain it.
    copying = import_module("data_copy.command")
    try:
        tables = copying.copy_service(
            source,
            target,
            existing="resume" if resume else "replace" if replace else "refuse",
            ignore_unknown_tables=ignore_unknown_tables,
        )
    except copying.DataCopyError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("Interrupted. Run the same command with --resume to continue.", INTERRUPTED)
    copying.show_tables(tables)
    typer.echo("Both databases have the same rows.")


@command_line.command("purge-answers")
def purge_answers_command(
    hours: Annotated[
        int, typer.Option("--hours", min=1, max=87_600, help="The age of what is deleted.")
    ] = 24,
) -> None:
    """Delete old answers to requests with an Idempotency-Key.

    A request that is repeated later than that is executed again.
    """
    from app.core.answers import purge_old_answers

    settings = load_settings()
    deleted = run(purge_old_answers(settings, hours=hours), settings)
    typer.echo(f"Deleted {deleted} answers.")


if __name__ == "__main__":
    command_line()
