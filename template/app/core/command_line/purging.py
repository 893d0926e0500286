"""`app purge`: delete what was soft-deleted long ago."""

from typing import Annotated, Any

import typer

from app.core.command_line.output import fail, load_settings, run, show_table


def purge_command(
    *,
    days: Annotated[
        int, typer.Option("--days", min=0, max=3650, help="How long ago a row was deleted.")
    ],
    table: Annotated[str | None, typer.Option("--table", help="Only this table.")] = None,
) -> None:
    """Delete for good what was soft-deleted long ago.

    Rows to which others refer are kept. Each batch is committed: an interrupted purge keeps the
    progress that it made, and can be run again.
    """
    settings = load_settings()
    tables = soft_deleted()
    if table is not None and table not in tables:
        fail(f"No table {table} has soft deletion. These have: {', '.join(tables) or 'none'}.")
    chosen = [model for name, model in tables.items() if table in {None, name}]
    rows = run(purge_all(settings, chosen, days=days), settings)
    show_table("table", "purged", "kept", rows=rows, right=(1, 2))


def soft_deleted() -> dict[str, Any]:
    """Return the models with soft deletion by table. Those that refer to others come first."""
    from app.core.models import Base
    from app.core.registry import import_models
    from app.core.soft_delete import SoftDelete

    import_models()
    models: dict[Any, Any] = {
        mapper.local_table: mapper.class_
        for mapper in Base.registry.mappers
        if issubclass(mapper.class_, SoftDelete)
    }
    ordered = reversed(Base.metadata.sorted_tables)
    return {table.name: models[table] for table in ordered if table in models}


async def purge_all(settings: Any, models: list[Any], *, days: int) -> list[tuple[str, int, int]]:
    from datetime import timedelta

    from app.core.database import open_database
    from app.core.models import utc_now
    from app.core.purge import purge_deleted

    rows = []
    async with open_database(settings) as database:
        deleted_before = utc_now() - timedelta(days=days)
        for model in models:
            purge = await purge_deleted(database, model, deleted_before=deleted_before)
            rows.append((model.__tablename__, purge.purged, purge.skipped))
    return rows
