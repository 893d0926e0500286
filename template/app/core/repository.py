"""Queries for every table. A domain's own queries belong in its `repository.py`."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.interfaces import ORMOption

from app.core.bulk import in_chunks
from app.core.errors import NotFoundError, UnknownReferenceError
from app.core.inserts import insert_record
from app.core.models import Record
from app.core.reads import S, read_all, read_records

R = TypeVar("R", bound=Record)
T = TypeVar("T")


@cache
def select_by_id(model: type[R]) -> Select[R]:
    return select(model).where(model.id == bindparam("id"))


class Repository(Generic[R]):
    """The records of one table, through one session. It flushes but never commits."""

    model: type[R]

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def read(self, id: UUID, schema: type[S]) -> S:
        """Return the record as a schema, with the related records that the schema names.

        Raise `NotFoundError`. To change a record, use `get`.
        """
        found = await read_records(self.session, select_by_id(self.model), schema, {"id": id})
        return schema.model_validate(self._existing(found[0] if found else None))

    async def read_all(self, query: Select[Any], schema: type[S], **values: Any) -> list[S]:
        """Return the rows of the query as schemas. `values` are those of its `bindparam`s."""
        return await read_all(self.session, query, schema, **values)

    async def get(self, id: UUID, *options: ORMOption, **execution_options: Any) -> R:
        """Return the record, or raise `NotFoundError`."""
        return self._existing(await self.find(id, *options, **execution_options))

    async def get_for_update(self, id: UUID, *options: ORMOption, **execution_options: Any) -> R:
        """Return the record and lock it until the transaction ends.

        It is read again even if it is in the session already. Raise `NotFoundError`, or
        `ReadOnlyError` in a read session, which cannot hold a lock.
        """
        query = select(self.model).where(self.model.id == id).options(*options)
        query = query.with_for_update(of=self.model)
        execution_options["populate_existing"] = True
        found = await self.session.scalars(query, execution_options=execution_options)
        return self._existing(found.unique().one_or_none())

    async def get_referenced(self, id: UUID, *options: ORMOption) -> R:
        """Return the record for an id in a request body, or raise `UnknownReferenceError`."""
        record = await self.find(id, *options)
        if record is None:
            raise UnknownReferenceError(f"There is no {self.model.__name__.lower()} {id}.")
        return record

    async def find(self, id: UUID, *options: ORMOption, **execution_options: Any) -> R | None:
        # Not `session.get`, which ignores the options for a record that is in the session.
        query = select_by_id(self.model)
        if options:
            query = query.options(*options)
        found = await self.session.scalars(query, {"id": id}, execution_options=execution_options)
        return found.unique().one_or_none()

    async def get_many(self, ids: Collection[UUID], *options: ORMOption) -> Sequence[R]:
        """Return the records that exist, ordered by id."""
        found: dict[UUID, R] = {}
        for chunk in in_chunks(ids):
            query = select(self.model).where(self.model.id.in_(chunk)).options(*options)
            found |= {record.id: record for record in (await self.session.scalars(query)).unique()}
        return [found[key] for key in sorted(found)]

    async def list(self, *options: ORMOption, limit: int, offset: int = 0) -> Sequence[R]:
        """Return records, oldest first."""
        query = select(self.model).order_by(self.model.id).limit(limit).offset(offset)
        return (await self.session.scalars(query.options(*options))).unique().all()

    async def count(self) -> int:
        return await self.session.scalar(select(func.count()).select_from(self.model)) or 0

    async def add(self, record: R) -> R:
        """Store a new or changed record. Errors of the database are raised here."""
        self.session.add(record)
        await self.session.flush()
        return record

    async def create(self, data: BaseModel) -> R:
        """Store a new record with the values of the schema."""
        return await self.add(self.model(**data.model_dump()))

    async def insert(self, data: BaseModel, schema: type[S]) -> S:
        """Store a new record with the values of `data`, and return it as a schema.

        The constructor and validators of the model are called, but not its other events, and
        the record is not in the session: to go on working with it, use `create`.
        """
        record = self.model(**data.model_dump())
        stored = await insert_record(self.session, record, schema)
        return stored or await self.read((await self.add(record)).id, schema)

    async def update(self, record: R, data: BaseModel) -> R:
        """Change only the fields that the caller sent."""
        for name, value in data.model_dump(exclude_unset=True).items():
            setattr(record, name, value)
        await self.session.flush()
        return record

    async def delete(self, record: R) -> None:
        await self.session.delete(record)
        await self.session.flush()

    def _existing(self, record: T | None) -> T:
        if record is None:
            raise NotFoundError(f"There is no {self.model.__name__.lower()} with this id.")
        return record
