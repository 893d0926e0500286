"""Revisions in a folder of their own, for the tests of `app db lint`."""

import textwrap
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from app.core.command_line.linting.checking import lint

REVISION = """\
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
    pass
"""


def write_revision(
    folder: Path, upgrade: str, revision: str = "1", before: str | None = None
) -> Path:
    body = textwrap.indent(textwrap.dedent(upgrade).strip(), "    ")
    path = folder / f"{revision}.py"
    path.write_text(REVISION.format(revision=revision, before=before, upgrade=body))
    return path


def scripts_in(folder: Path) -> ScriptDirectory:
    config = Config(toml_file="pyproject.toml")
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def rules_broken(folder: Path, upgrade: str) -> list[str]:
    """Return the rules that a revision with this upgrade breaks."""
    write_revision(folder, upgrade)
    (linted,) = lint(scripts_in(folder).walk_revisions())
    return [each.rule for each in linted.findings]
