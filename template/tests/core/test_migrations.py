import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import driver
from app.core.engine import create_engine
from app.core.models import Base, UtcDateTime
from app.core.registry import import_models
from app.core.settings import CoreSettings
from tests.core.server import create_database, drop_database

CONFIG = Config(toml_file="pyproject.toml")


@pytest.fixture
async def other(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncEngine]:
    """An empty database of its own, which the migrations find by the environment."""
    url = settings.primary_url.set(database=f"{settings.primary_url.database}_migrations")
    await drop_database(url)
    await create_database(url)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    engine = create_engine(url, settings, "migrate")
    yield engine
    await engine.dispose()
    await drop_database(url)


async def alembic(function: Any, *arguments: Any, **options: Any) -> None:
    await asyncio.to_thread(function, CONFIG, *arguments, **options)


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    return set(names) - {"alembic_version"}


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    options = {**driver.MIGRATION_OPTIONS, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def find_differences(engine: AsyncEngine, metadata: MetaData) -> list[Any]:
    async with engine.connect() as connection:
        return await connection.run_sync(differences, metadata)


async def test_migrations_go_up_and_down_and_up(other: AsyncEngine) -> None:
    import_models()
    await alembic(command.upgrade, "head")
    assert await tables(other) == set(Base.metadata.tables)

    await alembic(command.downgrade, "base")
    assert await tables(other) == set()

    await alembic(command.upgrade, "head")
    await alembic(command.check)  # raises if the models differ


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory.from_config(CONFIG).get_heads()) <= 1


async def test_the_sql_can_be_printed(
    other: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    await alembic(command.upgrade, "head", sql=True)

    has_revisions = bool(ScriptDirectory.from_config(CONFIG).get_heads())
    assert ("CREATE TABLE alembic_version" in capsys.readouterr().out) == has_revisions
    assert await tables(other) == set()


async def test_who_migrates_waits_for_another_who_does(other: AsyncEngine) -> None:
    upgrade = Thread(target=command.upgrade, args=(CONFIG, "head"))

    def hold_the_lock(connection: Connection) -> bool:
        with driver.migration_lock(connection), connection.begin():
            upgrade.start()
            upgrade.join(timeout=1)
            return upgrade.is_alive()

    async with other.connect() as connection:
        waited = await connection.run_sync(hold_the_lock)
    await asyncio.to_thread(upgrade.join)

    assert waited
    await alembic(command.check)


def lab_table(metadata: MetaData, **changes: Any) -> Table:
    columns: dict[str, sa.Column[Any]] = {
        "id": sa.Column("id", sa.Uuid, primary_key=True),
        "name": sa.Column("name", sa.String(50), nullable=False),
        "count": sa.Column("count", sa.Integer, nullable=False, server_default="0"),
        "is_open": sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.false()),
        "opened_at": sa.Column("opened_at", UtcDateTime, nullable=True),
    }
    return Table("drift_lab", metadata, *{**columns, **changes}.values())


@pytest.fixture
async def drift_lab(other: AsyncEngine) -> AsyncEngine:
    metadata = MetaData()
    sa.Index("ix_drift_lab_name", lab_table(metadata).c.name)
    async with other.begin() as connection:
        await connection.run_sync(metadata.create_all)
    return other


async def test_the_models_and_the_database_agree_right_after_the_creation(
    drift_lab: AsyncEngine,
) -> None:
    metadata = MetaData()
    sa.Index("ix_drift_lab_name", lab_table(metadata).c.name)

    assert await find_differences(drift_lab, metadata) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": sa.Column("extra", sa.Integer)},
        {"name": sa.Column("name", sa.String(60), nullable=False)},
        {"name": sa.Column("name", sa.String(50), nullable=True)},
        {"count": sa.Column("count", sa.Integer, nullable=False, server_default="1")},
        {"count": sa.Column("count", sa.Integer, nullable=False)},
        {"is_open": sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.true())},
        {"opened_at": sa.Column("opened_at", sa.Date, nullable=True)},
    ],
    ids=["column", "length", "nullability", "default", "no default", "true", "type"],
)
async def test_a_change_of_a_model_is_found(
    drift_lab: AsyncEngine, changes: dict[str, sa.Column[Any]]
) -> None:
    metadata = MetaData()
    copies = {name: column._copy() for name, column in changes.items()}
    sa.Index("ix_drift_lab_name", lab_table(metadata, **copies).c.name)

    assert await find_differences(drift_lab, metadata) != []


async def test_a_missing_index_is_found(drift_lab: AsyncEngine) -> None:
    metadata = MetaData()
    lab_table(metadata)

    assert await find_differences(drift_lab, metadata) != []


def read_all(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]


async def test_a_generated_revision_is_plain_sqlalchemy_and_runs(
    other: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a chain of its own: the service's revisions stay as they are."""
    config = Config(toml_file="pyproject.toml")
    config.set_main_option("version_locations", str(tmp_path))
    config.set_main_option("path_separator", "os")
    monkeypatch.setattr("app.core.models.Base.metadata", metadata := MetaData())
    sa.Index("ix_drift_lab_name", lab_table(metadata).c.name)

    await asyncio.to_thread(command.revision, config, "make the lab", autogenerate=True)

    (text,) = read_all(tmp_path)
    assert "app." not in text
    assert "sa.DateTime(timezone=True)" in text
    assert "server_default=sa.false()" in text
    await asyncio.to_thread(command.upgrade, config, "head")
    assert await find_differences(other, metadata) == []
    await asyncio.to_thread(command.downgrade, config, "base")
    assert await tables(other) == set()
