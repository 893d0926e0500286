"""What a copy shows: a bar for each table on a terminal, a line for each elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from app.core.data_copy.copying import Progress, VerifiedTable


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    if not console.is_terminal:

        def show_line(step: Literal["copy", "verify"], name: str, done: int, total: int) -> None:
            if done >= total:
                console.out(f"{step} {name}: {done} rows", highlight=False)

        yield show_line
        return

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def show_bar(step: Literal["copy", "verify"], name: str, done: int, total: int) -> None:
            if (step, name) not in tasks:
                tasks[step, name] = bars.add_task(f"{step} {name}")
            # A bar without rows would wait for ever: it is shown as one of one.
            bars.update(tasks[step, name], completed=done or not total, total=total or 1)

        yield show_bar


def show_tables(console: Console, tables: Sequence[VerifiedTable]) -> None:
    shown = Table("table", "rows", "checksum", box=None)
    shown.columns[1].justify = "right"
    for table in tables:
        shown.add_row(table.name, str(table.rows), table.checksum)
    console.print(shown)
