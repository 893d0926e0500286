import asyncio
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from alembic.util import CommandError
from pydantic import Field, SecretStr, ValidationError
from sqlalchemy import URL, CheckConstraint, Connection, MetaData, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core import autogenerate, driver
from app.core.engine import create_engine
from app.core.migrations import read_settings
from app.core.models import Base, UtcDateTime
from app.core.registry import import_models
from app.core.settings import CoreSettings, public_address

CONFIG = Config(toml_file="pyproject.toml")


async def alembic(function: Any, *arguments: Any, **options: Any) -> None:
    await asyncio.to_thread(function, CONFIG, *arguments, **options)


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    return set(names) - {"alembic_version"}


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    options = {**driver.MIGRATION_OPTIONS, "autogenerate_plugins": autogenerate.PLUGINS}
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


async def test_a_revision_that_is_gone_is_named(other: AsyncEngine) -> None:
    async with other.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        await connection.execute(sa.text("INSERT INTO alembic_version VALUES ('deadbeef0000')"))

    with pytest.raises(CommandError, match="Can't locate revision identified by 'deadbeef0000'"):
        await alembic(command.upgrade, "head")


async def test_the_sql_can_be_printed(
    other: AsyncEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of revisions that need no connection, which those of the service may do."""
    config = write_chain(tmp_path, *TABLES)

    await asyncio.to_thread(command.upgrade, config, "head", sql=True)

    printed = capsys.readouterr().out
    assert "CREATE TABLE alembic_version" in printed
    assert all(statement in printed for statement, _ in TABLES)
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


def lab_table(metadata: MetaData, *constraints: CheckConstraint, **changes: Any) -> Table:
    columns: dict[str, sa.Column[Any]] = {
        "id": sa.Column("id", sa.Uuid, primary_key=True),
        "name": sa.Column("name", sa.String(50), nullable=False),
        "count": sa.Column("count", sa.Integer, nullable=False, server_default="0"),
        "is_open": sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.false()),
        "opened_at": sa.Column("opened_at", UtcDateTime, nullable=True),
    }
    return Table("drift_lab", metadata, *{**columns, **changes}.values(), *constraints)


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


def chain_in(folder: Path) -> Config:
    """A chain of revisions of its own: the service's stay as they are, and their models too."""
    import_models()
    config = Config(toml_file="pyproject.toml")
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def read_all(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]


async def test_a_generated_revision_is_plain_sqlalchemy_and_runs(
    other: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chain_in(tmp_path)
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


CONDITIONS = [
    "name IN ('open', 'closed')",
    "name IN ('open', 'closed', 'it''s (half) open', '100 %')",
    "name NOT IN ('open', 'closed')",
    "name <> 'open'",
    "name LIKE 'o%'",
    "lower(name) = name",
    "count >= 0",
    "count > 0",
    "count BETWEEN 0 AND 1000000000",
    "count BETWEEN 0 AND 1000000001",
    "count IN (1, 2, 3)",
    "NOT (count = 3)",
    "count + 1 > 2 * 3",
    "(count > 1 AND count < 5) OR count = 7",
    "(opened_at IS NULL) = (name IS NOT NULL)",
    "opened_at IS NULL OR opened_at > '2020-01-01 00:00:00'",
    "CASE WHEN name = 'open' THEN count ELSE 1 - count END > 0",
]


OTHER_CONDITIONS = CONDITIONS[1:] + CONDITIONS[:1]


def lab_with(*conditions: str, indexed: Sequence[str] = ()) -> MetaData:
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    rules = [CheckConstraint(each, name=str(number)) for number, each in enumerate(conditions)]
    table = lab_table(metadata, *rules)
    for number, each in enumerate(indexed):
        sa.Index(f"ix_drift_lab_{number}", table.c.name, **driver.partial_index(each))
    return metadata


def names(found: list[Any], operation: str) -> list[str]:
    return sorted(each[1].name for each in found if each[0] == operation)


@asynccontextmanager
async def made(engine: AsyncEngine, metadata: MetaData) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)


async def test_a_changed_condition_is_found_however_the_database_writes_it(
    other: AsyncEngine,
) -> None:
    count = len(CONDITIONS)
    # Without partial indexes the database has nothing that could have changed.
    indexes = count if driver.partial_index("count > 0") else 0

    async with made(other, lab_with(*CONDITIONS, indexed=CONDITIONS)):
        same = await find_differences(other, lab_with(*CONDITIONS, indexed=CONDITIONS))
        changed = lab_with(*OTHER_CONDITIONS, indexed=OTHER_CONDITIONS)
        found = await find_differences(other, changed)

    assert same == []
    assert names(found, "remove_constraint") == names(found, "add_constraint")
    assert names(found, "remove_index") == names(found, "add_index")
    assert len(names(found, "add_constraint")) == count
    assert len(names(found, "add_index")) == indexes


async def test_new_and_old_check_constraints_are_found(other: AsyncEngine) -> None:
    async with made(other, lab_with("count > 0")):
        found = await find_differences(other, lab_with("count > 0", "count < 9"))
        assert names(found, "add_constraint") == ["ck_drift_lab_1"]
        found = await find_differences(other, lab_with())
        assert names(found, "remove_constraint") == ["ck_drift_lab_0"]


async def test_a_restored_backup_is_no_difference(other: AsyncEngine) -> None:
    """It holds conditions as the server wrote them, and the server writes those otherwise."""
    models, restored = lab_with(*CONDITIONS, indexed=CONDITIONS), MetaData()
    async with made(other, models), other.connect() as connection:
        await connection.run_sync(restored.reflect, only=["drift_lab"])

    async with made(other, restored):
        assert await find_differences(other, models) == []


async def test_a_changed_type_is_no_change_of_a_condition(other: AsyncEngine) -> None:
    longer = {"name": sa.Column("name", sa.Text, nullable=False)}
    old, new = MetaData(), MetaData()
    lab_table(old, CheckConstraint(CONDITIONS[0], name="rule"))
    lab_table(new, CheckConstraint(CONDITIONS[0], name="rule"), **longer)

    async with made(other, old):
        found = await find_differences(other, new)

    assert [each[0][0] for each in found] == ["modify_type"]


async def test_constraints_of_types_are_no_difference(other: AsyncEngine) -> None:
    """Some databases need them, others have the types themselves."""

    def metadata(*choices: str) -> MetaData:
        metadata = MetaData(naming_convention=Base.metadata.naming_convention)
        flag = sa.Boolean(create_constraint=True, name="is_flag")
        kind = sa.Enum(*choices, native_enum=False, create_constraint=True, name="kind", length=9)
        Table("type_lab", metadata, sa.Column("flag", flag), sa.Column("kind", kind))
        return metadata

    async with made(other, metadata("a", "b")):
        assert await find_differences(other, metadata("a", "b")) == []
        changed = await find_differences(other, metadata("a", "b", "c"))

    assert [each[0] for each in changed] == ["remove_constraint", "add_constraint"]


async def test_a_condition_that_cannot_be_compared_is_reported(
    other: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with made(other, lab_with("count > 0")):
        assert await find_differences(other, lab_with("nothing > 0")) == []

    assert "Cannot compare the conditions of 'drift_lab'" in caplog.text


async def test_a_revision_adds_a_value_to_a_set_and_takes_it_back(
    other: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(metadata: MetaData) -> None:
        monkeypatch.setattr("app.core.models.Base.metadata", metadata)

    async def insert(name: str) -> None:
        values = {"id": uuid.uuid4(), "name": name}
        async with other.begin() as connection:
            await connection.execute(lab.tables["drift_lab"].insert().values(values))

    config = chain_in(tmp_path)
    write(lab := lab_with("name IN ('open')"))
    await asyncio.to_thread(command.revision, config, "make the lab", autogenerate=True)
    await asyncio.to_thread(command.upgrade, config, "head")
    await insert("open")
    with pytest.raises(DBAPIError):
        await insert("closed")

    write(lab_with("name IN ('open', 'closed')"))
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        await asyncio.to_thread(command.check, config)
    await asyncio.to_thread(command.revision, config, "add closed", autogenerate=True)
    await asyncio.to_thread(command.upgrade, config, "head")
    await asyncio.to_thread(command.check, config)
    await insert("closed")

    async with other.begin() as connection:
        await connection.execute(sa.text("DELETE FROM drift_lab WHERE name = 'closed'"))
    await asyncio.to_thread(command.downgrade, config, "-1")
    with pytest.raises(DBAPIError):
        await insert("closed")
    async with other.connect() as connection:
        names = (await connection.scalars(sa.text("SELECT name FROM drift_lab"))).all()
    assert names == ["open"]


def write_chain(folder: Path, *upgrades: tuple[str, str]) -> Config:
    """Revisions of one statement up and one down each."""
    before = None
    for number, (up, down) in enumerate(upgrades, 1):
        (folder / f"{number}.py").write_text(
            f"from alembic import op\nrevision = '{number}'\ndown_revision = {before!r}\n"
            f"def upgrade(): op.execute({up!r})\ndef downgrade(): op.execute({down!r})\n"
        )
        before = str(number)
    return chain_in(folder)


TABLES = [
    (f"CREATE TABLE {name} (id INTEGER)", f"DROP TABLE {name}")
    for name in ("lab_a", "lab_b", "lab_c")
]


@asynccontextmanager
async def idle_transaction(engine: AsyncEngine, table: str) -> AsyncIterator[AsyncConnection]:
    """Has written to the table, and does nothing more."""
    async with engine.connect() as connection:
        await connection.execute(sa.text(f"INSERT INTO {table} VALUES (1)"))
        yield connection
        await connection.rollback()


async def test_readers_get_through_while_a_migration_waits(
    other: AsyncEngine,
    settings: CoreSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS", "1")
    alter = ("ALTER TABLE lab_a ADD COLUMN more INTEGER", "ALTER TABLE lab_a DROP COLUMN more")
    config = write_chain(tmp_path, TABLES[0], alter)
    await asyncio.to_thread(command.upgrade, config, "1")
    readers, waits = create_engine(other.url, settings, "read"), []
    end = time.monotonic() + 5

    async with idle_transaction(other, "lab_a"):
        upgrade = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "head"))
        while time.monotonic() < end:
            start = time.monotonic()
            async with readers.connect() as connection:
                await connection.execute(sa.text("SELECT count(*) FROM lab_a"))
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.05)
        assert not upgrade.done()
    await upgrade
    await readers.dispose()

    assert max(waits) < 2
    async with other.connect() as connection:
        await connection.execute(sa.text("SELECT more FROM lab_a"))


async def test_a_migration_that_gets_no_lock_says_so_and_can_be_run_again(
    other: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS", "1")
    monkeypatch.setenv("DATABASE_MIGRATION_ATTEMPTS", "2")
    config = write_chain(tmp_path, *TABLES)
    await asyncio.to_thread(command.upgrade, config, "head")

    async with idle_transaction(other, "lab_b"):
        with pytest.raises(CommandError, match="for longer than 2 times 1 seconds"):
            await asyncio.to_thread(command.downgrade, config, "1")
    assert "lab_b" in await tables(other)
    await asyncio.to_thread(command.downgrade, config, "1")

    assert await tables(other) == {"lab_a"}


async def test_an_upgrade_logs_its_revisions_and_nothing_else(
    other: AsyncEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await asyncio.to_thread(command.upgrade, write_chain(tmp_path, *TABLES), "head")

    messages = [each.getMessage() for each in caplog.records if each.name.startswith("alembic")]
    assert [each.strip(" ,") for each in messages] == [
        "Running upgrade  -> 1",
        "Running upgrade 1 -> 2",
        "Running upgrade 2 -> 3",
    ]


async def test_a_relative_target_stays_what_it_was_when_a_migration_tries_again(
    other: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_MIGRATION_LOCK_TIMEOUT_SECONDS", "1")
    config = write_chain(tmp_path, *TABLES)
    await asyncio.to_thread(command.upgrade, config, "head")

    async with idle_transaction(other, "lab_b"):
        downgrade = asyncio.create_task(asyncio.to_thread(command.downgrade, config, "-2"))
        await asyncio.sleep(3)
        assert not downgrade.done()
    await downgrade

    assert await tables(other) == {"lab_a"}


async def test_a_revision_that_fails_says_so_in_one_sentence_and_where_the_database_is(
    other: AsyncEngine, tmp_path: Path
) -> None:
    two_statements = "op.execute('CREATE TABLE lab_d (id INTEGER)'); op.execute('DROP TABLE none')"
    config = write_chain(tmp_path, *TABLES)
    last = tmp_path / "3.py"
    last.write_text(
        last.read_text().replace("op.execute('CREATE TABLE lab_c (id INTEGER)')", two_statements)
    )

    with pytest.raises(CommandError) as raised:
        await asyncio.to_thread(command.upgrade, config, "head")

    text = str(raised.value)
    place = set(re.findall(r"The database is at: (.+?)\. ", text))
    assert text.startswith("The upgrade of revision 3 failed: ")
    assert text.endswith("The statement was: DROP TABLE none")
    assert "none" in text.partition("The database")[0]
    async with other.connect() as connection:
        assert place == set(await connection.run_sync(current_place))
    if "Nothing of the revision was applied." in text:
        assert "lab_d" not in await tables(other)
    else:
        assert "is not undone: undo it by hand. Correct the revision" in text
        assert "lab_d" in await tables(other)
        async with other.begin() as connection:
            await connection.execute(sa.text("DROP TABLE lab_d"))
    last.write_text(last.read_text().replace("DROP TABLE none", "CREATE TABLE lab_c (id INTEGER)"))
    await asyncio.to_thread(command.upgrade, config, "head")
    assert await tables(other) == {"lab_a", "lab_b", "lab_c", "lab_d"}


def current_place(connection: Connection) -> tuple[str, ...]:
    heads = MigrationContext.configure(connection).get_current_heads()
    return heads or ("before the first revision",)


async def test_a_database_that_cannot_be_reached_is_one_sentence(
    other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = other.url.set(database=f"{other.url.database}/none", password="not-shown")
    monkeypatch.setenv("DATABASE_URL", missing.render_as_string(hide_password=False))

    with pytest.raises(CommandError) as raised:
        await alembic(command.upgrade, "head")

    text = str(raised.value)
    assert text.startswith(f"Cannot connect to {public_address(missing)}: ")
    assert text.endswith("Is the database running, and is DATABASE_URL right?")
    assert "\n" not in text
    assert "not-shown" not in text


def elsewhere(url: URL) -> str:
    """A place where nobody can connect."""
    return url.set(database=f"{url.database}/none").render_as_string(hide_password=False)


async def test_migrations_have_a_url_of_their_own(
    other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_models()
    monkeypatch.setenv("DATABASE_MIGRATION_URL", os.environ["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL", elsewhere(other.url))

    await alembic(command.upgrade, "head")

    assert await tables(other) == set(Base.metadata.tables)


async def test_migrations_use_no_other_url_than_their_own(
    other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_MIGRATION_URL", elsewhere(other.url))

    with pytest.raises(CommandError, match="is DATABASE_MIGRATION_URL right"):
        await alembic(command.upgrade, "head")


async def test_the_database_for_development_may_have_no_role_for_migrations(
    other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_models()
    monkeypatch.setattr(driver, "DEFAULT_URL", os.environ["DATABASE_URL"])
    monkeypatch.setattr(driver, "DEFAULT_MIGRATION_URL", elsewhere(other.url))

    await alembic(command.upgrade, "head")

    assert await tables(other) == set(Base.metadata.tables)


class OwnSettings(CoreSettings):
    database_pool_size: int = 7
    api_key: SecretStr
    key: str = Field(alias="SERVICE_KEY", min_length=9)


async def test_migrations_need_no_settings_of_the_services_own(
    other: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.settings.Settings", OwnSettings)

    await alembic(command.upgrade, "head")
    await alembic(command.check)


def test_a_default_of_the_services_own_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("SERVICE_KEY=short\nLOG_LEVEL=ERROR\n")
    monkeypatch.setitem(OwnSettings.model_config, "env_file", file)

    settings = read_settings(OwnSettings)

    assert (settings.database_pool_size, settings.log_level) == (7, "ERROR")


def test_a_setting_of_the_database_that_is_wrong_is_still_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "oracle://localhost/app")

    with pytest.raises(ValidationError, match="database_url"):
        read_settings(OwnSettings)
