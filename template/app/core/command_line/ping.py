"""`app db ping`: connect as the service does, and say what is there."""

from typing import Annotated

import typer

from app.core.command_line.output import (
    FAILED,
    WARNED,
    load_settings,
    show_json,
    show_table,
)


def ping_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Connect as the service does, and say what is there.

    To the database, and to its replica and as the role for migrations, if they are set. Exit
    status: 1 if a connection fails, 3 if the tables are not at the newest revision.
    """
    import asyncio

    from app.core.command_line.connecting import ping

    reports = asyncio.run(ping(load_settings()))
    if as_json:
        show_json([report.as_json() for report in reports])
    else:
        for report in reports:
            typer.echo(f"{report.purpose}: {report.address}")
            if report.problem is None:
                show_table("", "", rows=list(report.facts.items()))
            typer.echo("")
        for report in reports:
            if report.problem is not None:
                typer.echo(report.problem, err=True)
    if any(report.problem for report in reports):
        raise typer.Exit(FAILED)
    if not all(report.is_newest for report in reports):
        raise typer.Exit(WARNED)
