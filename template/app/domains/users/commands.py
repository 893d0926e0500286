"""Commands for users: `uv run app users`."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app.core.command_line.output import fail, load_settings, run
from app.core.errors import NotFoundError

commands = typer.Typer(no_args_is_help=True, help="Work with users.")


@commands.command("restore")
def restore_command(
    user_id: Annotated[UUID, typer.Argument(help="The id of the user.")],
) -> None:
    """Restore a user who was deleted, and not purged yet."""
    settings = load_settings()
    try:
        email = run(restore_user(settings, user_id), settings)
    except NotFoundError as error:
        fail(str(error))
    typer.echo(f"Restored {email}.")


async def restore_user(settings: Any, user_id: UUID) -> str:
    # Here, because `app --help` imports this file.
    from app.core.database import open_database
    from app.domains.users.repository import UserRepository

    async with open_database(settings) as database, database.transaction() as session:
        user = await UserRepository(session).restore(user_id)
        return user.email
