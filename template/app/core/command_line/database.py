"""`app db`: the database of the service, its tables and its revisions."""

import typer

from app.core.command_line import migrating
from app.core.command_line.doctor import doctor_command

database = typer.Typer(no_args_is_help=True, help="Work with the database of the service.")

database.command("upgrade")(migrating.upgrade_command)
database.command("downgrade", context_settings=migrating.WITH_NEGATIVE_NUMBERS)(
    migrating.downgrade_command
)
database.command("revision")(migrating.revision_command)
database.command("check")(migrating.check_command)
database.command("sql")(migrating.sql_command)
database.command("doctor")(doctor_command)
