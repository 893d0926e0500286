"""`app db lint`: what new revisions would block or break."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.core.command_line.output import FAILED, WARNED, fail, show_json

if TYPE_CHECKING:
    from alembic.script import Script

    from app.core.command_line.linting.checking import Linted


def lint_command(
    *,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="COMMIT",
            envvar="LINT_BASE",
            help="New is what this branch or commit of git lacks. Default: the main branch.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REVISION", help="New is what comes after this revision."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Look at all revisions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find what new revisions would block or break while the service runs. Nothing is executed.

    Exit status: 0 nothing found, 1 errors, 3 only warnings.
    """
    if since is not None and every:
        raise typer.BadParameter("--all and --since exclude each other.")
    from app.core.command_line.linting.checking import lint

    revisions = choose(base, since, every=every)
    linted = lint(revisions)
    if as_json:
        show_json([row for each in linted for row in each.rows()])
    else:
        show(linted)
    errors = [finding.is_error for each in linted for finding in each.findings]
    if errors:
        raise typer.Exit(FAILED if any(errors) else WARNED)


def choose(base: str | None, since: str | None, *, every: bool) -> list["Script"]:
    """Return the revisions that are asked for, or fail."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    from app.core.application import PYPROJECT
    from app.core.command_line.linting import new_revisions as revisions

    scripts = ScriptDirectory.from_config(Config(toml_file=PYPROJECT))
    try:
        if every:
            return revisions.all_revisions(scripts)
        if since is not None:
            return revisions.revisions_since(scripts, since)
        return revisions.new_revisions(scripts, base)
    except (CommandError, revisions.UnknownBaseError) as error:
        fail(str(error))


def show(linted: list["Linted"]) -> None:
    from app.core.command_line.linting.checking.findings import HOW_TO_ALLOW

    for each in linted:
        for finding in each.findings:
            level = "error" if finding.is_error else "warning"
            typer.echo(f"{each.path}:{finding.line}: {level}: {finding.rule}")
            typer.echo(f"    {finding.message}")
            if finding.recipe:
                typer.echo(f"    Instead: {finding.recipe}")
    count = sum(len(each.findings) for each in linted)
    typer.echo(f"{count or 'No'} findings in {len(linted)} revisions.")
    if count:
        typer.echo(f"To allow one, write into the revision: {HOW_TO_ALLOW}")
