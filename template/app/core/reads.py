"""Read rows straight into schemas, without records."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Dialect, Select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bulk import in_chunks
from app.core.direct import DirectQuery
from app.core.execution import can_call_driver, connection_of, engine_of, execute
from app.core.shapes import Shape

Q = TypeVar("Q")
S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")
Record = dict[str, Any]


def once_for_each_query(make: Callable[[Q], T]) -> Callable[[Q], T]:
    """Keep the result for as long as the query exists. It must not refer to the query."""
    made: WeakKeyDictionary[Q, T] = WeakKeyDictionary()

    def make_once(query: Q) -> T:
        result = made.get(query)
        if result is None:
            result = made[query] = make(query)
        return result

    return make_once


class Plan:
    """A query for the columns that a schema needs. Of a query for records, it reads no others."""

    def __init__(self, query: Select[Any], schema: type[BaseModel], dialect: Dialect) -> None:
        first, *others = query.column_descriptions
        self.shape: Shape | None = None
        self.names = [each["name"] for each in query.column_descriptions]
        if first.get("entity") is not None and first["expr"] is first["entity"]:
            self.names = [each["name"] for each in others]
            self.shape = Shape(first["entity"], schema, extras=self.names)
            columns = [*self.shape.columns, *(each["expr"] for each in others)]
            for join in self.shape.joins:
                query = query.outerjoin(join)
            query = query.with_only_columns(*columns, maintain_column_froms=True)
        self.query = query.options()  # a copy
        self.direct = DirectQuery(self.query, dialect)
        self.collections: dict[tuple[str, int], Select[Any]] = {}

    def record(self, row: Sequence[Any]) -> Record:
        if self.shape is None:
            return dict(zip(self.names, row, strict=True))
        record = self.shape.record(row)
        if self.names:
            record |= zip(self.names, row[-len(self.names) :], strict=True)
        return record


@once_for_each_query
def plans_for(_: Select[Any]) -> dict[tuple[type[BaseModel], Dialect], Plan]:
    return {}


async def plan_for(query: Select[Any], schema: type[BaseModel], session: AsyncSession) -> Plan:
    """Return the plan for the database of the session. Each query is compiled once."""
    dialect = engine_of(session).dialect
    plans = plans_for(query)
    plan = plans.get((schema, dialect))
    if plan is None:
        await connection_of(session)  # the first connection completes the dialect
        plan = plans[schema, dialect] = Plan(query, schema, dialect)
    return plan


async def read_records(
    session: AsyncSession, query: Select[Any], schema: type[BaseModel], values: Mapping[str, Any]
) -> list[Record]:
    """Return what the fields of the schema need from each row, with lists of related records."""
    plan = await plan_for(query, schema, session)
    rows: Sequence[Sequence[Any]]
    if plan.direct.is_possible and can_call_driver(session):
        parameters = plan.direct.parameters(values)
        rows = plan.direct.convert(await execute(session, plan.direct.sql, parameters))
    else:
        rows = (await session.execute(plan.query, values)).all()
    records = [plan.record(row) for row in rows]
    if plan.shape is not None and records:
        for name in plan.shape.collections:
            await read_collection(session, plan, plan.shape, name, records)
    return records


async def read_collection(
    session: AsyncSession, plan: Plan, shape: Shape, name: str, records: list[Record]
) -> None:
    """Add the related records to all records, with one statement for a thousand of them."""
    related: dict[Any, list[Record]] = {record[shape.keys[0]]: [] for record in records}
    for keys in in_chunks(related):
        if (name, len(keys)) not in plan.collections:
            plan.collections[name, len(keys)] = shape.select_collection(name, len(keys))
        query = plan.collections[name, len(keys)]
        values = {f"id_{number}": key for number, key in enumerate(keys)}
        for child in await read_records(session, query, shape.collections[name], values):
            related[child.pop("parent")].append(child)
    for record in records:
        record[name] = related[record[shape.keys[0]]]


async def read_all(
    session: AsyncSession, query: Select[Any], schema: type[S], **values: Any
) -> list[S]:
    """Return the rows of the query as schemas. `values` are those of its `bindparam`s.

    Of a query for records, such as `select(User)`, it reads only what the schema has, related
    records included. Keep the query in a constant: a new one is compiled first, which takes
    half a millisecond.
    """
    records = await read_records(session, query, schema, values)
    return validate_list(schema, records)


@cache
def list_of(schema: type[S]) -> TypeAdapter[list[S]]:
    return TypeAdapter(list[schema])  # type: ignore[valid-type]


def validate_list(schema: type[S], records: list[Record]) -> list[S]:
    """Return the schemas, by one call of pydantic for all of them."""
    return list_of(schema).validate_python(records)


def escape_like(text: str) -> str:
    """Escape a text for `column.icontains(bindparam("text"), escape="/")`."""
    return re.sub("[/%_]", r"/\g<0>", text)
