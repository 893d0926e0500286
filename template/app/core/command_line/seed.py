"""`app db seed`: rows for development. Each domain with a `seed.py` is an option."""

from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from app import domains
from app.core.command_line.output import fail, load_settings, progress_bar, run, show_table

GIVEN = "app.seed.counts"
INTERRUPTED_MESSAGE = (
    "Interrupted. What was committed stays: run the same command with --resume to go on."
)


def find_domains() -> list[str]:
    """Return the names of the domains that have rows for development."""
    names = sorted(each.name for each in iter_modules(domains.__path__) if each.ispkg)
    return [name for name in names if find_spec(f"app.domains.{name}.seed") is not None]


class WithCounts(TyperCommand):
    """A command that also has an option for each domain."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params += [count_option(name) for name in find_domains()]


def count_option(name: str) -> TyperOption:
    def note(context: typer.Context, _: Any, value: int | None) -> None:
        if value is not None:
            context.meta.setdefault(GIVEN, {})[name] = value

    return TyperOption(
        param_decls=[f"--{name.replace('_', '-')}"],
        type_descriptor=int,
        min=0,
        help=f"How many {name.replace('_', ' ')}. Default: in proportion to the others.",
        callback=note,
        expose_value=False,
    )


def seed_command(
    context: typer.Context,
    *,
    seed: Annotated[int, typer.Option("--seed", help="Another number makes other rows.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the rows that are there, add what is missing.")
    ] = False,
    outside_development: Annotated[
        bool, typer.Option("--outside-development", help="Also where ENVIRONMENT is another.")
    ] = False,
) -> None:
    """Fill the empty tables with believable rows for development, the same each time."""
    names = find_domains()
    if not names:
        fail('No domain has a seed.py: see "app db seed" in docs/operations.md.')
    settings = load_settings()
    if settings.is_public and not outside_development:
        fail(
            f"ENVIRONMENT is {settings.environment}: these rows are for development."
            " Use --outside-development to insert them nevertheless."
        )
    from app.core.command_line import seeding

    seeds = seeding.load_seeds(names)
    counts = seeding.count_records(seeds, context.meta.get(GIVEN, {}))
    work = seeding.seed_database(
        settings, seeds, counts, seed=seed, resume=resume, bar=progress_bar
    )
    try:
        inserted = run(work, settings, interrupted=INTERRUPTED_MESSAGE)
    except seeding.TablesNotEmptyError as error:
        fail(str(error))
    show_table("table", "rows", rows=inserted.items(), right=[1])
