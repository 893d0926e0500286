"""Insert one row, and return it as a schema, in half of the time that a record takes."""

from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import Insert, Table, insert, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, Session

from app.core.models import Base
from app.core.sessions import ReadOnlyError, ReadSession

S = TypeVar("S", bound=BaseModel)


@cache
def insert_into(model: type[Base]) -> Insert:
    return insert(cast("Table", inspect(model).local_table))


async def insert_record(session: AsyncSession, record: Base, schema: type[S]) -> S:
    if isinstance(session, ReadSession):
        raise ReadOnlyError("This session only reads. Use SessionDep to write.")
    given = inspect(record).dict
    mapper: Mapper[Any] = inspect(type(record))
    values = {
        attribute.columns[0].key: given[attribute.key]
        for attribute in mapper.column_attrs
        if attribute.key in given
    }

    def insert_row(session: Session) -> Any:
        session.flush()
        result = session.connection().execute(insert_into(type(record)), values)
        return result.last_inserted_params()

    stored = await session.run_sync(insert_row)
    return schema.model_validate(stored)
