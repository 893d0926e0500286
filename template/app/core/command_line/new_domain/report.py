"""What `app new domain` says: what it has written, and what comes next."""

from pathlib import Path

import typer

from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.new_domain.api import lines_for_api
from app.core.command_line.new_domain.revision import NoRevisionError, write_revision
from app.core.command_line.new_domain.writing import Written
from app.core.command_line.output import INTERRUPTED, fail


def show_files(written: Written, root: Path) -> None:
    for path in written.new:
        typer.echo(f"Wrote {path.relative_to(root)}")
    for path in written.changed:
        typer.echo(f"Changed {path.relative_to(root)}")


def make_revision(domain: Domain, root: Path) -> bool:
    """Return whether a revision was written. If not, say why."""
    try:
        revision = write_revision(domain, root / "pyproject.toml")
    except NoRevisionError as error:
        typer.echo(f"There is no revision yet: {error}", err=True)
        return False
    except KeyboardInterrupt:
        fail("Interrupted. All files are written, but the revision is not.", INTERRUPTED)
    typer.echo(f"Wrote {revision.relative_to(root)}: review it.")
    return True


def show_next_steps(domain: Domain, written: Written, *, has_revision: bool) -> None:
    if not written.is_formatted:
        typer.echo("ruff is not installed: format the files, and remove the unused imports.")
    if not written.is_in_api:
        lines = "".join(f"\n    {line}" for line in lines_for_api(domain, set()))
        typer.echo(f"app/api.py has no `router = APIRouter()`. Add the domain by hand:{lines}")
    for name, table in domain.unchecked_references.items():
        typer.echo(f"{name} may refer to {table} that are deleted: --service would look them up.")
    typer.echo("\nNext:")
    if not has_revision:
        typer.echo("    uv run app db upgrade")
        typer.echo(f'    uv run app db revision --message "Add {domain.nouns}"')
    typer.echo("    uv run app db upgrade")
    typer.echo(f"    uv run pytest tests/domains/{domain.name} tests/core/test_routes.py")
