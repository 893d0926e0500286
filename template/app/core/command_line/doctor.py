"""`app db doctor`: what is wrong with the database, and what mends it."""

from typing import Annotated

import typer

from app.core.command_line.output import load_settings, progress_bar, run, show_json


def doctor_command(
    *,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="The processes of each replica.")
    ] = 1,
    replicas: Annotated[
        int, typer.Option("--replicas", min=1, help="How often the service runs.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine the database and its server. Nothing is changed.

    The exit status is that of the worst finding: 1 for an error, 3 for a warning, else 0.
    """
    from dataclasses import asdict

    from app.core.command_line.examining.examination import NUMBER_OF_CHECKS, examine
    from app.core.command_line.examining.findings import exit_status
    from app.core.command_line.examining.report import show_findings
    from app.core.command_line.reasons import public_address

    settings = load_settings()
    with progress_bar("Examining", NUMBER_OF_CHECKS) as advance:
        work = examine(settings, workers=workers, replicas=replicas, advance=advance)
        findings = run(work, settings)
    if as_json:
        show_json([asdict(each) for each in findings])
    else:
        show_findings(findings, public_address(settings.primary_url))
    raise typer.Exit(exit_status(findings))
