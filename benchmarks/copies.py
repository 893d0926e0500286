"""Copies of databases, which is faster than to fill each."""

import shutil

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine


async def copy_database(source: URL, target: URL) -> None:
    """Makes `target`, which is empty, equal to `source`, which nobody uses."""
    if source.get_backend_name() == "sqlite":
        shutil.copyfile(str(source.database), str(target.database))
    elif source.get_backend_name() == "postgresql":
        await execute(
            target.set(database="postgres"),
            f'DROP DATABASE "{target.database}"',
            f'CREATE DATABASE "{target.database}" TEMPLATE "{source.database}"',
        )
    else:
        await copy_tables(source, target)


async def execute(url: URL, *statements: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def copy_tables(source: URL, target: URL) -> None:
    """For MySQL and MariaDB, which cannot copy a database."""
    engine = create_async_engine(target, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("SET foreign_key_checks = 0"))
        shown = await connection.execute(text(f"SHOW TABLES FROM `{source.database}`"))
        for table in shown.scalars().all():
            qualified = f"`{source.database}`.`{table}`"
            create = (await connection.execute(text(f"SHOW CREATE TABLE {qualified}"))).one()[1]
            await connection.exec_driver_sql(create)
            await connection.execute(text(f"INSERT INTO `{table}` SELECT * FROM {qualified}"))
            await connection.execute(text(f"ANALYZE TABLE `{table}`"))
    await engine.dispose()
