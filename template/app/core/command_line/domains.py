"""Commands of the domains: `app/domains/<name>/commands.py` appears as `app <name>`."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from app import domains


class WithDomains(TyperGroup):
    """A group that also has the commands of each domain.

    Each `commands.py` has a `typer.Typer` named `commands`. A domain whose name is a command of
    the template cannot have any. One that cannot be imported does not stop other commands.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *(name for name in find_domains() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        return load_commands(cmd_name) if cmd_name in find_domains() else None


def find_domains(module: str = "commands") -> list[str]:
    """Return the names of the domains that have this module."""
    names = sorted(each.name for each in iter_modules(domains.__path__) if each.ispkg)
    return [name for name in names if find_spec(f"app.domains.{name}.{module}") is not None]


def load_commands(name: str) -> Any:
    """Return the group of a domain. If its file has an error, the group only says so."""
    try:
        command = get_command(import_module(f"app.domains.{name}.commands").commands)
    except Exception as error:  # noqa: BLE001 - whatever the file raises must not stop `app db`
        command = get_command(broken(name, error))
    command.name = name
    return command


def broken(name: str, error: Exception) -> typer.Typer:
    message = f"app/domains/{name}/commands.py cannot be used: {type(error).__name__}: {error}"
    commands = typer.Typer(help=message, invoke_without_command=True)

    @commands.callback(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def _fail() -> None:
        typer.echo(message, err=True)
        raise typer.Exit(1)

    return commands
