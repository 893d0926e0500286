"""What `app data copy` does and shows: a bar for each table on a terminal, a line elsewhere."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from app.core.health import VERSIONS, read_revisions
from app.core.models import Base
from app.core.registry import import_models
from data_copy.checks import Existing
from data_copy.copying import Progress, VerifiedTable, copy_data
from data_copy.databases import parse_url
from data_copy.errors import DataCopyError

__all__ = ["DataCopyError", "copy_service", "show_tables"]


def copy_service(
    source: str, target: str, *, existing: Existing, ignore_unknown_tables: bool
) -> list[VerifiedTable]:
    """Copy the tables of all models. Raises `DataCopyError`."""
    import_models()
    with show_progress(Console(stderr=True)) as progress:
        return asyncio.run(
            copy_data(
                parse_url(source, "source"),
                parse_url(target, "target"),
                metadata=Base.metadata,
                revisions=read_revisions(VERSIONS)[1],
                existing=existing,
                ignore_unknown_tables=ignore_unknown_tables,
                progress=progress,
            )
        )


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    if not console.is_terminal:

        def show_line(step: str, name: str, done: int, total: int) -> None:
            if done >= total:
                console.out(f"{step} {name}: {done} rows", highlight=False)

        yield show_line
        return

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def show_bar(step: str, name: str, done: int, total: int) -> None:
            if (step, name) not in tasks:
                tasks[step, name] = bars.add_task(f"{step} {name}")
            # Without a total a bar never ends: a table without rows is shown as one of one.
            bars.update(tasks[step, name], completed=done or not total, total=total or 1)

        yield show_bar


def show_tables(tables: Sequence[VerifiedTable]) -> None:
    shown = Table("table", "rows", "checksum", box=None)
    shown.columns[1].justify = "right"
    for table in tables:
        shown.add_row(table.name, str(table.rows), table.checksum)
    Console().print(shown)
