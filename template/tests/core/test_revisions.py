import asyncio
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import CheckConstraint, MetaData, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.database import Database
from app.core.models import Base, Choice, IntegerKey, UtcDateTime, check_choices
from tests.core.test_migrations import chain_in, find_differences, tables

Write = Callable[[MetaData], None]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Write:
    """Makes these tables the models of the service."""
    return lambda metadata: monkeypatch.setattr("app.core.models.Base.metadata", metadata)


@pytest.fixture
def chain(other: AsyncEngine, tmp_path: Path) -> Config:
    return chain_in(tmp_path)


async def generate(chain: Config) -> str:
    """Generate a revision, run it up, down and up, and return its text."""

    def run() -> str:
        name = uuid.uuid4().hex  # files are named after it and the minute
        script: Any = command.revision(chain, name, autogenerate=True)
        command.upgrade(chain, "head")
        command.check(chain)
        command.downgrade(chain, "-1")
        command.upgrade(chain, "head")
        return Path(script.path).read_text(encoding="utf-8")

    return await asyncio.to_thread(run)


async def change(
    other: AsyncEngine, chain: Config, write: Write, before: MetaData, after: MetaData
) -> str:
    """Change the models, go back to what was before, and return the text of the revision."""
    write(before)
    await generate(chain)
    write(after)
    text = await generate(chain)
    await asyncio.to_thread(command.downgrade, chain, "-1")
    assert await find_differences(other, before) == []
    return text


def new_metadata() -> MetaData:
    return MetaData(naming_convention=Base.metadata.naming_convention)


def column_to(name: str) -> sa.Column[Any]:
    return sa.Column(f"{name}_id", sa.ForeignKey(f"{name}.id"), index=True)


def add_table(metadata: MetaData, name: str, *items: Any) -> Table:
    return Table(name, metadata, sa.Column("id", sa.Uuid, primary_key=True), *items)


def family() -> MetaData:
    """Tables whose names are in another order than their foreign keys."""
    metadata = new_metadata()
    add_table(metadata, "lab_b")
    add_table(metadata, "lab_d", column_to("lab_b"))
    add_table(metadata, "lab_a", column_to("lab_d"), column_to("lab_b"), column_to("lab_a"))
    add_table(metadata, "lab_c", column_to("lab_a"), column_to("lab_d"))
    return metadata


FAMILY = ["lab_b", "lab_d", "lab_a", "lab_c"]


async def test_tables_are_created_and_dropped_in_the_order_of_their_foreign_keys(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    write(family())
    created = await generate(chain)
    write(new_metadata())
    dropped = await generate(chain)

    assert await tables(other) == set()
    assert re.findall(r'create_table\(\s*"(\w+)"', created) == FAMILY
    assert re.findall(r'drop_table\("(\w+)"', created) == FAMILY[::-1]
    assert re.findall(r'drop_table\("(\w+)"', dropped) == FAMILY[::-1]
    assert re.findall(r'create_table\(\s*"(\w+)"', dropped) == FAMILY
    assert "drop_index" not in created + dropped
    await asyncio.to_thread(command.downgrade, chain, "-1")
    assert await find_differences(other, family()) == []
    await asyncio.to_thread(command.downgrade, chain, "base")
    assert await tables(other) == set()


async def test_a_table_can_be_removed_to_which_others_referred(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    smaller = new_metadata()
    add_table(smaller, "lab_d")
    add_table(smaller, "lab_a", column_to("lab_d"), column_to("lab_a"))
    add_table(smaller, "lab_c", column_to("lab_a"), column_to("lab_d"))

    await change(other, chain, write, family(), smaller)

    await asyncio.to_thread(command.upgrade, chain, "head")
    assert await tables(other) == set(FAMILY[1:])


TYPES: dict[str, sa.Column[Any]] = {
    "uuid": sa.Column(sa.Uuid),
    "at": sa.Column(UtcDateTime, nullable=False),
    "flag": sa.Column(sa.Boolean, server_default=sa.true(), nullable=False),
    "other_flag": sa.Column(sa.Boolean, server_default=sa.false(), nullable=False),
    "text": sa.Column(sa.String(50), server_default="new", nullable=False),
    "long_text": sa.Column(sa.Text),
    "number": sa.Column(sa.Integer, server_default="7", nullable=False),
    "big": sa.Column(sa.BigInteger),
    "small": sa.Column(sa.SmallInteger),
    "amount": sa.Column(sa.Numeric(10, 2)),
    "ratio": sa.Column(sa.Double),
    "day": sa.Column(sa.Date),
    "content": sa.Column(sa.LargeBinary),
}


def table_of_types(metadata: MetaData, *without: str) -> None:
    columns = {name: column._copy() for name, column in TYPES.items() if name not in without}
    for name, column in columns.items():
        column.name = column.key = name
    add_table(metadata, "lab_types", *columns.values())


def written_types(revision: str) -> set[str]:
    return set(re.findall(r"\b[a-z]+\.([A-Z]\w*)\(", revision)) - {"Column"}


async def test_a_generated_downgrade_has_portable_types(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    complete, smaller = new_metadata(), new_metadata()
    table_of_types(complete)
    table_of_types(smaller, *TYPES)
    write(complete)
    created = await generate(chain)
    write(smaller)
    of_columns = await generate(chain)
    await asyncio.to_thread(command.downgrade, chain, "-1")
    assert await find_differences(other, complete) == []
    await asyncio.to_thread(command.upgrade, chain, "head")
    write(complete)
    await generate(chain)
    write(new_metadata())
    of_the_table = await generate(chain)

    portable = written_types(created)
    assert {"Uuid", "DateTime", "Boolean", "Numeric"} < portable
    for downgrade in (of_columns, of_the_table):
        assert written_types(downgrade) <= portable
        assert "server_default=sa.true()" in downgrade
        assert "server_default=sa.false()" in downgrade
        assert "::" not in downgrade
        assert downgrade.count("sa.DateTime(timezone=True)") == 1


async def test_a_column_with_a_rule_can_be_removed(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    with_price, without = new_metadata(), new_metadata()
    price = sa.Column("price", sa.Integer, server_default="0", nullable=False)
    add_table(with_price, "lab_a", price, CheckConstraint("price >= 0", name="price"))
    add_table(without, "lab_a")

    await change(other, chain, write, with_price, without)


async def test_a_type_can_be_changed_and_changed_back(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    before, after = new_metadata(), new_metadata()
    add_table(before, "lab_a", sa.Column("name", sa.String(50), nullable=False))
    add_table(after, "lab_a", sa.Column("name", sa.Text, nullable=True))

    revision = await change(other, chain, write, before, after)

    assert written_types(revision) == {"String", "Text"}


async def test_a_generated_downgrade_has_portable_conditions(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    before, after = new_metadata(), new_metadata()
    for metadata, values in ((before, "'a', 'b: c'"), (after, "'a', 'd'")):
        columns = sa.Column("kind", sa.String(50)), sa.Column("group", sa.Integer)
        rule = CheckConstraint(f"kind IN ({values})", name="kind")
        add_table(metadata, "lab_a", *columns, rule)
    changed = await change(other, chain, write, before, after)
    write(new_metadata())
    await asyncio.to_thread(command.downgrade, chain, "base")
    await asyncio.to_thread(command.upgrade, chain, "+1")
    await asyncio.to_thread(command.upgrade, chain, "head")

    removed = await generate(chain)

    assert downgraded_values(changed) == ["'a'", "'b: c'"]
    assert downgraded_values(removed) == ["'a'", "'d'"]


def downgraded_values(revision: str) -> list[str]:
    downgrade = revision.partition("def downgrade")[2]
    (condition,) = re.findall(r"\bkind (?:IN|in) ?\([^)]*\)", downgrade)
    assert "::" not in downgrade
    return re.findall("'[^']*'", condition)


class Two(Choice):
    OPEN = "open"
    CLOSED = "it's: closed"


class Three(Choice):
    OPEN = "open"
    CLOSED = "it's: closed"
    LOST = "lost"


def table_with(choice: type[Choice]) -> MetaData:
    class Own(DeclarativeBase):
        metadata = new_metadata()
        type_annotation_map = Base.type_annotation_map

    annotations = {"state": Mapped[choice], "former": Mapped[choice | None]}  # type: ignore[valid-type]
    options = {"__tablename__": "lab_choices", "__annotations__": annotations}
    table: Any = type("LabChoice", (IntegerKey, Own), options)
    check_choices(table.__table__)
    return Own.metadata


async def test_a_choice_is_a_text_with_a_rule_that_a_revision_changes(
    other: AsyncEngine, chain: Config, write: Write
) -> None:
    def insert(state: str) -> sa.TextClause:
        values = sa.text("INSERT INTO lab_choices (state) VALUES (:state)")
        return values.bindparams(state=state)

    async def execute(statement: sa.TextClause) -> None:
        async with other.begin() as connection:
            await connection.execute(statement)

    write(table_with(Two))
    text = await generate(chain)
    assert "sa.String(length=50)" in text
    assert "sa.Enum" not in text
    for state in ("open", Two.CLOSED.value):
        await execute(insert(state))
    with pytest.raises(DBAPIError):
        await execute(insert("lost"))
    with pytest.raises(DBAPIError):
        await execute(insert("OPEN"))

    write(table_with(Three))
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        await asyncio.to_thread(command.check, chain)
    await generate(chain)
    await execute(insert("lost"))
    await execute(sa.text("DELETE FROM lab_choices WHERE state = 'lost'"))
    await asyncio.to_thread(command.downgrade, chain, "-1")
    with pytest.raises(DBAPIError):
        await execute(insert("lost"))


async def test_an_enum_that_is_no_choice_is_warned_of(
    chain: Config, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(metadata := new_metadata())
    kind: Any = sa.Enum(Two, native_enum=True)
    add_table(metadata, "lab_a", sa.Column("kind", kind, nullable=True))

    await asyncio.to_thread(command.revision, chain, "change", autogenerate=True)

    assert "No revision can be generated for a new value of Two: derive it from" in caplog.text


async def test_a_choice_is_read_and_written_by_its_value(database: Database) -> None:
    class Own(DeclarativeBase):
        type_annotation_map = Base.type_annotation_map

    class Door(IntegerKey, Own):
        __tablename__ = "lab_doors"
        state: Mapped[Two] = mapped_column(default=Two.OPEN)

    type_, dialect = Door.__table__.c.state.type, database.engine.dialect
    write, read = type_.bind_processor(dialect), type_.result_processor(dialect, None)

    assert write is not None
    assert write(Two.CLOSED) == "it's: closed"
    assert read is not None
    assert read("open") is Two.OPEN
