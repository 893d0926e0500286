"""`app db analyze`: the plans of the service's statements, and indexes that they miss."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.core.command_line.output import (
    WARNED,
    WIDTH_WITHOUT_TERMINAL,
    fail,
    load_settings,
    run,
    show_json,
)

if TYPE_CHECKING:
    from app.core.command_line.analyzing.findings import Report
    from app.core.command_line.analyzing.recordings import Statement

# Tests of the template, whose endpoints are not the service's.
LEFT_OUT = ("--ignore=tests/core", "--ignore=tests/data_copy")


def analyze_command(
    recording: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            allow_dash=True,
            help="Statements that the tests recorded, or the service logged. - is the input.",
        ),
    ] = None,
    *,
    from_tests: Annotated[
        bool, typer.Option("--from-tests", help="Run the service's tests to record statements.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="A service that runs with DATABASE_ECHO=true: ask it."
        ),
    ] = None,
    sql: Annotated[
        list[str] | None, typer.Option("--sql", help="A statement to explain. Can be repeated.")
    ] = None,
    large: Annotated[
        int, typer.Option("--large", min=1, help="The number of rows from which it is many.")
    ] = 10_000,
    repeated: Annotated[
        int, typer.Option("--repeated", min=2, help="Executions in one request that are many.")
    ] = 5,
    assume_large: Annotated[
        bool, typer.Option("--assume-large", help="Judge the plans as if all tables were large.")
    ] = False,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Try the indexes, execute the queries, and undo it: it locks tables."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain the service's statements on its database, and propose the indexes they miss.

    Statements are explained, not executed. Exits with 3 if there is a problem.
    """
    from alembic.util import CommandError

    from app.core.command_line.analyzing.analysis import Options, analyze

    settings = load_settings()
    if prove and settings.is_public:
        fail("--prove locks tables. Use it where ENVIRONMENT is development.")
    statements = read_statements(recording, from_tests=from_tests, url=url, sql=sql or [])
    options = Options(large, repeated, assume_large=assume_large, prove=prove)
    try:
        report = run(analyze(settings, statements, options), settings)
    except CommandError as error:
        fail(str(error))
    print_report(report, as_json=as_json)
    if report.findings:
        raise typer.Exit(WARNED)


def read_statements(
    recording: Path | None, *, from_tests: bool, url: str | None, sql: list[str]
) -> "list[Statement]":
    from app.core.command_line.analyzing import plans
    from app.core.command_line.analyzing.recordings import (
        STATEMENTS_FILE,
        Statement,
        read_recording,
    )

    if not (recording or from_tests or url or sql):
        raise typer.BadParameter("Name a FILE, or use --from-tests, --url or --sql.")
    statements = [Statement(plans.as_driver_sql(each.rstrip("; \n")), ()) for each in sql]
    texts = [record_tests()] if from_tests else []
    texts += [read_file(recording)] if recording else []
    texts += [ask_service(url)] if url else []
    for text in texts:
        statements += read_recording(text.splitlines(), load_application)
    if not statements and url:
        fail(f"{url} has sent no statements since its start: send requests to it first.")
    if not statements:
        fail(
            "There are no statements. A FILE has what the service logs as JSON with"
            f" DATABASE_ECHO=true, or what the tests write with {STATEMENTS_FILE}=FILE."
        )
    return statements


def load_application() -> Any:
    from app.main import app

    return app


def read_file(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")


def ask_service(url: str) -> str:
    """Return what a service in development has kept: see `app/core/statement_endpoint.py`."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from app.core.statement_endpoint import PATH

    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("The URL of a service begins with http:// or https://.")
    try:
        with urlopen(url.rstrip("/") + PATH, timeout=10) as response:  # noqa: S310 - see above
            kept: str = response.read().decode()
    except HTTPError as error:
        error.close()
        fail(
            f"{url} does not show its statements: HTTP {error.code}. Start it with"
            " DATABASE_ECHO=true where ENVIRONMENT is development."
        )
    except (OSError, HTTPException, ValueError) as error:
        fail(f"{url} cannot be asked: {getattr(error, 'reason', error)}. Is the service running?")
    name = load_application().title
    if not kept.startswith(f"{json.dumps({'service': name})}\n"):
        fail(f"{url} is another service than this one, which is {name}.")
    return kept


def record_tests() -> str:
    """Run the tests of the service, and return what they recorded. Their output is on stderr."""
    from app.core.command_line.analyzing.recordings import STATEMENTS_FILE

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "statements")
        environment = {**os.environ, STATEMENTS_FILE: str(file)}
        tests = [sys.executable, "-m", "pytest", "--quiet", *LEFT_OUT]
        code = subprocess.run(  # noqa: S603 - they are the service's own
            tests, check=False, env=environment, stdout=sys.stderr
        ).returncode
        if code:
            fail("The tests failed: correct them first.")
        return file.read_text(encoding="utf-8") if file.exists() else ""


def print_report(report: "Report", *, as_json: bool) -> None:
    from rich.console import Console

    from app.core.command_line.analyzing import report as reports

    if as_json:
        show_json(reports.as_json(report))
    elif sys.stdout.isatty():
        reports.show_report(Console(), report)
    else:
        console = Console(width=WIDTH_WITHOUT_TERMINAL, color_system=None)
        with console.capture() as captured:
            reports.show_report(console, report)
        typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
