"""The rows of the application, for requests that refer to them."""

import random
import re
from collections import defaultdict
from typing import Any
from urllib.parse import quote

from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.core.cases import Request

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Rows:
    """The values in the tables, by which requests refer to rows."""

    def __init__(self, engine: AsyncEngine, metadata: list[MetaData]) -> None:
        self.engine = engine
        self.tables = [table for each in metadata for table in each.sorted_tables]
        self.random = random.Random(0)
        self.keys: list[Any] = []
        self.by_name: dict[str, list[Any]] = {}
        self.by_table: dict[str, list[Any]] = {}

    async def read(self) -> None:
        """Note all primary keys, and values by the name of their column, or of those that refer."""
        keys: dict[Any, list[Any]] = {}
        columns: dict[str, list[Any]] = defaultdict(list)
        async with self.engine.connect() as connection:
            for table in self.tables:
                rows = (await connection.execute(select(table).limit(100))).mappings().all()
                for column in table.columns:
                    values = [row[column] for row in rows if row[column] is not None]
                    columns[column.name] += values
                    if column.primary_key:
                        keys[column] = values
        references = {
            key.parent.name: keys[key.column]
            for table in self.tables
            for key in table.foreign_keys
            if key.column in keys
        }
        self.keys = [value for values in keys.values() for value in values]
        self.by_name = {**columns, **references}
        self.by_table = {column.table.name: values for column, values in keys.items()}

    def choose(self, name: str, value: Any, collection: str = "") -> Any:
        """Return the value of a row for a parameter or a field that refers to one.

        In the path `/invoices/{invoice_id}`, the collection is `invoices`.
        """
        is_key = isinstance(value, str) and UUID.fullmatch(value)
        keys = self.by_table.get(collection) or self.keys
        known = self.by_name.get(name) or (keys if is_key else [])
        if not known or self.random.random() < 0.1:
            return value
        chosen = self.random.choice(known)
        return chosen if isinstance(chosen, int) else str(chosen)

    def fill(self, body: Any, name: str = "") -> Any:
        """Return a body with keys of rows in place of the generated ones."""
        if isinstance(body, dict):
            return {name: self.fill(part, name) for name, part in body.items()}
        if isinstance(body, list):
            return [self.fill(part, name) for part in body]
        is_key = isinstance(body, str) and UUID.fullmatch(body)
        return self.choose(name, body) if is_key or name.endswith("_id") else body

    def refer(self, case: Request) -> Request:
        for name, value in (case.path_parameters or {}).items():
            before = case.path.partition("/{" + name + "}")[0].rpartition("/")[2]
            chosen = self.choose(name, value, before.replace("-", "_"))
            case.path_parameters[name] = quote(str(chosen), safe="%")
        for name, value in (case.query or {}).items():
            case.query[name] = self.choose(name, value)
        case.body = self.fill(case.body)
        return case
