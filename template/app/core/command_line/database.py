"""`app db`: the database of the service, its tables and its revisions."""

import typer

from app.core.command_line import analyze, doctor, lint, migrating, ping, seed

database = typer.Typer(no_args_is_help=True, help="Work with the database of the service.")

database.command("ping")(ping.ping_command)
database.command("upgrade")(migrating.upgrade_command)
database.command("downgrade", context_settings=migrating.WITH_NEGATIVE_NUMBERS)(
    migrating.downgrade_command
)
database.command("revision")(migrating.revision_command)
database.command("check")(migrating.check_command)
database.command("sql")(migrating.sql_command)
database.command("lint")(lint.lint_command)
database.command("doctor")(doctor.doctor_command)
database.command("analyze")(analyze.analyze_command)
database.command("seed")(seed.with_counts(seed.seed_command))
