"""Commands of the domains: `app/domains/<name>/commands.py` appears as `app <name>`."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from app import domains
from app.core.command_line.output import MARKUP_MODE, fail


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
    parent = typer.Typer(add_completion=False, rich_markup_mode=MARKUP_MODE)
    try:
        parent.add_typer(import_module(f"app.domains.{name}.commands").commands, name=name)
        parent_group: Any = get_command(parent)
        return parent_group.commands[name]
    except Exception as error:  # noqa: BLE001 - whatever the file raises must not stop `app db`
        return broken(name, error)


def broken(name: str, error: Exception) -> Any:
    message = f"app/domains/{name}/commands.py cannot be used: {type(error).__name__}: {error}"
    commands = typer.Typer(add_completion=False, rich_markup_mode=MARKUP_MODE)
    any_words = {"ignore_unknown_options": True, "allow_extra_args": True}

    @commands.command(name, help=message, context_settings=any_words)
    def _fail() -> None:
        fail(message)

    return get_command(commands)
