"""The table of the answers to requests with an `Idempotency-Key`: `app/core/idempotency.py`."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Index, Select, String, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.core.bulk import CHUNK_SIZE, delete_rows
from app.core.database import Database, open_database
from app.core.models import Base, Record, utc_now
from app.core.registry import import_models
from app.core.settings import CoreSettings


class StoredAnswer(Record):
    """The base of the table of keys and answers: `app/domains/idempotency/models.py`.

    The id is a hash of the caller, the route and the key. A row that other transactions can see
    has a status.
    """

    __abstract__ = True

    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Index]:  # noqa: N805 - a class method, for SQLAlchemy
        return (Index(None, "created_at"),)


class Answer(BaseModel):
    fingerprint: str
    status: int | None
    body: str | None


@cache
def select_answer(model: type[StoredAnswer]) -> Select[Any]:
    columns: list[Any] = [model.fingerprint, model.status, model.body]
    return select(*columns).where(model.id == bindparam("id"))


@cache
def find_model() -> type[StoredAnswer] | None:
    """Return the table of the service, or `None` if it has none."""
    import_models()
    models = StoredAnswer.__subclasses__()
    return next((model for model in models if model.metadata is Base.metadata), None)


async def purge_answers(
    database: Database, model: type[StoredAnswer], *, created_before: datetime
) -> int:
    """Delete the keys, with their answers, of requests before that time. Return their number.

    Each batch is a transaction. A request whose key was deleted is executed again.
    """
    query = select(model.id).where(model.created_at < created_before).limit(CHUNK_SIZE)

    async def purge_batch(session: AsyncSession) -> int:
        return await delete_rows(session, model, (await session.scalars(query)).all())

    purged, deleted = 0, CHUNK_SIZE
    while deleted:
        deleted = await database.run(purge_batch)
        purged += deleted
    return purged


async def purge_old_answers(settings: CoreSettings, *, hours: int) -> int:
    """Delete the answers of the service that are older than that. Return their number."""
    model = find_model()
    if model is None:
        return 0
    async with open_database(settings) as database:
        before = utc_now() - timedelta(hours=hours)
        return await purge_answers(database, model, created_before=before)
