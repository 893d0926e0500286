"""What commands have in common: exit statuses, tables, progress, and errors in one sentence."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NoReturn, TypeVar

import typer

T = TypeVar("T")

FAILED = 1  # what was asked for failed, or an error was found
WARNED = 3  # nothing worse than a warning was found; 2 is wrong usage
INTERRUPTED = 130  # what a shell gives to Ctrl-C
UNDONE = "Interrupted. What was not committed is undone."
PROGRESS_AFTER_SECONDS = 2.0
# Frames and colors in the help are for a terminal.
MARKUP_MODE: Literal["rich"] | None = "rich" if sys.stdout.isatty() else None
WIDTH_WITHOUT_TERMINAL = 10_000  # lines are not wrapped there


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Print the message to stderr, and end the command."""
    typer.echo(message, err=True)
    raise typer.Exit(status)


def load_settings() -> Any:
    """Return the settings of the service, or fail with a sentence for each that is invalid."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        fail(describe_invalid(error))


def describe_invalid(error: Any) -> str:
    """Return a sentence for each invalid setting. It does not have the value."""
    found = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
    return "\n".join(f"{name.upper()}: {message}." for name, message in found)


def run(work: Coroutine[Any, Any, T], settings: Any, *, interrupted: str = UNDONE) -> T:
    """Run work that uses the database, and return its result.

    Fail with one sentence if the database cannot be reached or refuses a statement, or with
    `interrupted` after Ctrl-C. The settings are those by which the work connects.
    """
    import asyncio

    from sqlalchemy.exc import DBAPIError

    from app.core import driver
    from app.core.command_line.reasons import explain
    from app.core.errors import UnavailableError

    unusable: tuple[type[Exception], ...] = (DBAPIError, UnavailableError, OSError, *driver.ERRORS)
    try:
        return asyncio.run(work)
    except unusable as error:
        fail(explain(error, settings))
    except KeyboardInterrupt:
        fail(interrupted, INTERRUPTED)


def show_table(*headings: str, rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Print a table. The columns with the numbers `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number in right:
        table.columns[number].justify = "right"
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else Text(str(each)) for each in row))
    if sys.stdout.isatty():
        Console().print(table)
        return
    plain = Console(width=WIDTH_WITHOUT_TERMINAL, color_system=None)
    with plain.capture() as captured:
        plain.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to which what was done since its last call is reported.

    On a terminal, a bar is shown on stderr if the work takes longer than two seconds.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(what, total=total, visible=False)

        def advance(count: int) -> None:
            is_long = (bars.tasks[0].elapsed or 0) > PROGRESS_AFTER_SECONDS
            bars.update(task, advance=count, visible=is_long)

        yield advance
