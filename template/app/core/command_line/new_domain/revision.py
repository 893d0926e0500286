"""The revision of a new domain: the table, and nothing else that differs."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.operations import ops
from alembic.util import CommandError
from pydantic import ValidationError

from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.output import describe_invalid


class NoRevisionError(Exception):
    """The database cannot be compared with the models now. The message says why."""


def write_revision(domain: Domain, pyproject: Path) -> Path:
    """Compare the models with the database, and return the path of the new revision.

    Raise `NoRevisionError` if the database cannot be reached, or is not at the newest revision.
    """
    invalidate_caches()  # the files of the models are new
    try:
        script: Any = command.revision(
            Config(toml_file=pyproject, cmd_opts=Namespace(quiet=True)),
            f"Add {domain.nouns}",
            autogenerate=True,
            process_revision_directives=only_of_table(domain.name),
        )
    except CommandError as error:
        raise NoRevisionError(str(error)) from error
    except ValidationError as error:
        raise NoRevisionError(describe_invalid(error)) from error
    return Path(script.path)


def only_of_table(table: str) -> Callable[..., None]:
    """Return a function that removes from a revision what is about other tables."""

    def keep(operations: Iterable[Any]) -> list[ops.MigrateOperation]:
        return [each for each in operations if getattr(each, "table_name", None) == table]

    def process(_: Any, __: Any, scripts: Iterable[ops.MigrationScript]) -> None:
        for script in scripts:
            for both in (*script.upgrade_ops_list, *script.downgrade_ops_list):
                both.ops = keep(both.ops)

    return process
