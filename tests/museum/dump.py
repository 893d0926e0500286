"""Prints every row as the models read it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, null, select

from app.core.database import open_database
from app.core.models import Base
from app.core.registry import import_models
from app.settings import Settings


def written(column: Column[Any], value: Any) -> str:
    if isinstance(value, datetime) and getattr(column.type, "timezone", False):
        value = value.replace(tzinfo=value.tzinfo or UTC)  # not every driver says so
    return str(value) if isinstance(value, UUID | Decimal) else repr(value)


async def main() -> None:
    import_models()
    async with open_database(Settings()) as database, database.read() as session:
        for table in Base.metadata.sorted_tables:
            documents = [each.is_(null()) for each in table.c if isinstance(each.type, JSON)]
            print(table.name)
            rows = []
            for row in await session.execute(select(*table.c, *documents)):
                values = [written(each, value) for each, value in zip(table.c, row, strict=False)]
                rows.append(str([*values, *row[len(values) :]]))
            print(*sorted(rows), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
