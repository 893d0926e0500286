"""`app new`: write code in the style of the project."""

from typing import Annotated

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
    from app.core.command_line.new_domain.clashes import ClashError
    from app.core.command_line.new_domain.names import UnusableError
    from app.core.command_line.new_domain.planning import plan
    from app.core.command_line.new_domain.report import make_revision, show_files, show_next_steps
    from app.core.command_line.new_domain.writing import write

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
    except (ClashError, OSError) as error:
        fail(str(error))
    except CalledProcessError:
        fail("ruff cannot format the files: correct its settings. Nothing was written.")
    except KeyboardInterrupt:
        fail("Interrupted. Nothing was written.", INTERRUPTED)
    show_files(written, root)
    has_revision = not no_revision and make_revision(domain, root)
    show_next_steps(domain, written, has_revision=has_revision)
