"""Migrates and fills a database: `python fill_tables.py 10000 users,orders URL`, in a rendering."""

import asyncio
import os
import sys
from itertools import islice

from alembic import command
from alembic.config import Config
from rows import TABLES
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import app.api  # noqa: F401 - with it come all models
from app.core.models import Base

CHUNK = 2000
ANALYZE = {"postgresql": "VACUUM ANALYZE {}", "mysql": "ANALYZE TABLE {}", "sqlite": "ANALYZE {}"}


async def fill(engine: AsyncEngine, name: str, count: int) -> None:
    rows = TABLES[name](count)
    async with engine.begin() as connection:
        while chunk := list(islice(rows, CHUNK)):
            await connection.execute(Base.metadata.tables[name].insert(), chunk)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(ANALYZE[engine.dialect.name].format(name)))


async def fill_all(url: str, names: list[str], count: int) -> None:
    engine = create_async_engine(url)
    for name in TABLES:
        if name in names:
            await fill(engine, name, count)
    await engine.dispose()


def main(count: str, names: str, url: str) -> None:
    os.environ["DATABASE_URL"] = url
    command.upgrade(Config(toml_file="pyproject.toml"), "head")
    asyncio.run(fill_all(url, names.split(","), int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
