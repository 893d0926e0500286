"""`app db seed`: rows for development. Each domain with a `seed.py` is an option."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from app.core.command_line.domains import find_domains
from app.core.command_line.output import fail, load_settings, progress_bar, run, show_table

INTERRUPTED = "Interrupted. What was committed stays: run the same command with --resume to go on."


def with_counts(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each domain that has rows for development."""
    own = signature(command).parameters
    names = [name for name in find_domains("seed") if name not in own]
    added = [count_option(name) for name in names]

    def with_options(**given: Any) -> None:
        counts = {name: given.pop(name) for name in names}
        command({name: count for name, count in counts.items() if count is not None}, **given)

    parameters = [*added, *(own[name] for name in own if name != "counts")]
    described: Any = with_options
    described.__doc__ = command.__doc__
    described.__signature__ = signature(command).replace(parameters=parameters)
    described.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def count_option(name: str) -> Parameter:
    words = name.replace("_", " ")
    option = typer.Option(min=0, help=f"How many {words}. Default: in proportion to the others.")
    annotation = Annotated[int | None, option]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def seed_command(
    counts: dict[str, int],
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
    settings = load_settings()
    if settings.is_public and not outside_development:
        fail(
            f"ENVIRONMENT is {settings.environment}, and these rows are for development:"
            " --outside-development inserts them nevertheless."
        )
    names = find_domains("seed")
    if not names:
        fail('No domain has a seed.py: see "app db seed" in docs/operations.md.')
    from app.core.command_line import seeding

    try:
        seeds = seeding.load_seeds(names)
        wanted = seeding.count_records(seeds, counts)
        work = seeding.seed_database(
            settings, seeds, wanted, seed=seed, resume=resume, bar=progress_bar
        )
        inserted = run(work, settings, interrupted=INTERRUPTED)
    except seeding.SeedingError as error:
        fail(str(error))
    show_table("table", "rows", rows=inserted.items(), right=[1])
