"""`app new`: write code in the style of the project."""

from typing import Annotated, Any

import typer

from app.core.command_line.output import INTERRUPTED, fail

new = typer.Typer(no_args_is_help=True, help="Write code in the style of the project.")
WRONG_USAGE = 2


@new.callback()
def _keep_subcommands() -> None:
    """Typer would otherwise run the only command without its name."""


@new.command("domain")
def domain_command(
    name: Annotated[str, typer.Argument(help="Its name, in the plural: that of its table, too.")],
    *,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME:TYPE", help="A field. Repeat it for each."),
    ] = None,
    singular: Annotated[
        str, typer.Option("--singular", metavar="NAME", help="What one record is called.")
    ] = "",
    soft_delete: Annotated[
        bool, typer.Option("--soft-delete", help="Hide deleted records, and restore them.")
    ] = False,
    service: Annotated[
        bool, typer.Option("--service", help="Write a service, which looks up what a record names.")
    ] = False,
    no_revision: Annotated[
        bool, typer.Option("--no-revision", help="Do not compare the models with the database.")
    ] = False,
) -> None:
    """Write a domain: models, schemas, repository, router, tests, its routes, its revision.

    A field is name:type, as in number:str! paid_at:datetime? status:draft|sent customer_id:users
    with ? for null, ! for unique, and the name of a table for a reference. Types are str, text,
    int, bigint, decimal, bool, date, datetime and uuid. Without any, there is a name:str.
    """
    from subprocess import CalledProcessError

    from app.core.application import PYPROJECT
    from app.core.command_line.domain_clashes import ClashError
    from app.core.command_line.domain_names import UnusableError
    from app.core.command_line.domain_planning import plan
    from app.core.command_line.domain_writing import write

    root = PYPROJECT.parent
    if not ((root / "app" / "api.py").is_file() and (root / "tests").is_dir()):
        fail("The code of the service is not here: run this in a checkout of the service.")
    try:
        domain = plan(
            name, field or (), singular, soft_delete=soft_delete, service=service, root=root
        )
        written = write(domain, root)
    except UnusableError as error:
        fail(str(error), WRONG_USAGE)
    except ClashError as error:
        fail(str(error))
    except (OSError, CalledProcessError) as error:
        fail(f"Nothing was written: {error}")
    except KeyboardInterrupt:
        fail("Interrupted. Nothing was written.", INTERRUPTED)
    show(written, root)
    has_revision = not no_revision and make_revision(domain, root)
    show_next_steps(domain, written, has_revision=has_revision)


def show(written: Any, root: Any) -> None:
    for path in written.new:
        typer.echo(f"Wrote {path.relative_to(root)}")
    for path in written.changed:
        typer.echo(f"Changed {path.relative_to(root)}")


def make_revision(domain: Any, root: Any) -> bool:
    """Return whether a revision was written. If not, say why."""
    from app.core.command_line.domain_revision import NoRevisionError, write_revision

    try:
        revision = write_revision(domain, root / "pyproject.toml")
    except NoRevisionError as error:
        typer.echo(f"There is no revision yet: {error}", err=True)
        return False
    typer.echo(f"Wrote {revision.relative_to(root)}: review it.")
    return True


def show_next_steps(domain: Any, written: Any, *, has_revision: bool) -> None:
    from app.core.command_line.domain_api import lines_for_api

    if not written.is_formatted:
        typer.echo("ruff is not installed: format the files, and remove the unused imports.")
    if not written.is_in_api:
        lines = "".join(f"\n    {line}" for line in lines_for_api(domain, set()))
        typer.echo(f"app/api.py has no `router = APIRouter()`. Add the domain by hand:{lines}")
    for field in domain.references:
        if field.parent.is_soft_deleted and not domain.service:
            typer.echo(f"{field.name} may refer to deleted {field.parent.table}: see --service.")
    typer.echo("\nNext:")
    if not has_revision:
        typer.echo("    uv run app db upgrade")
        typer.echo(f'    uv run app db revision --message "Add {domain.nouns}"')
    typer.echo("    uv run app db upgrade")
    typer.echo(f"    uv run pytest tests/domains/{domain.name} tests/core/test_routes.py")
