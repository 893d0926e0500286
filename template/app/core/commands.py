"""The command line of the service: `uv run app`, or `python -m app.core.commands`."""

import asyncio
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from app.core.data_copy.checks import Existing
from app.core.data_copy.copying import DataCopyError, VerifiedTable, copy_data
from app.core.data_copy.databases import parse_url
from app.core.data_copy.progress import show_progress, show_tables
from app.core.health import VERSIONS, read_revisions
from app.core.models import Base
from app.core.registry import import_models

__all__ = ["command_line", "data"]

INTERRUPTED = 130  # as a shell says it of Ctrl-C

# An error that nobody expected is shown without the values of variables: a URL has a password.
command_line = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
data = typer.Typer(no_args_is_help=True, help="Work with all data of the service.")
command_line.add_typer(data, name="data")


def fail(message: str, status: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(status)


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
        bool, typer.Option("--resume", help="Keep the rows that an interrupted copy has left.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty the tables of the target first.")
    ] = False,
    ignore_unknown_tables: Annotated[
        bool, typer.Option("--ignore-unknown-tables", help="Leave out tables without a model.")
    ] = False,
) -> None:
    """Copy all rows to another database, of the same kind or not, and verify the copy.

    The tables of the target are there already: alembic upgrade head. The source stays as it is.
    """
    if resume and replace:
        fail("Either --resume or --replace: rows that are there are kept, or they are not.")
    existing: Existing = "resume" if resume else "replace" if replace else "refuse"
    try:
        tables = asyncio.run(
            copy_between(
                source, target, existing=existing, ignore_unknown_tables=ignore_unknown_tables
            )
        )
    except DataCopyError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("Interrupted. The same command with --resume goes on.", INTERRUPTED)
    show_tables(Console(), tables)
    typer.echo("Both databases have the same rows.")


async def copy_between(
    source: str, target: str, *, existing: Existing, ignore_unknown_tables: bool
) -> list[VerifiedTable]:
    import_models()
    with show_progress(Console(stderr=True)) as progress:
        return await copy_data(
            parse_url(source, "source"),
            parse_url(target, "target"),
            metadata=Base.metadata,
            revisions=read_revisions(VERSIONS)[1],
            existing=existing,
            ignore_unknown_tables=ignore_unknown_tables,
            progress=progress,
        )


if __name__ == "__main__":
    command_line()
