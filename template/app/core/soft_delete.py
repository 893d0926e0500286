"""Records that are hidden instead of deleted, can come back, and are deleted for good later."""

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, CursorResult, delete, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria
from sqlalchemy.orm.interfaces import ORMOption

from app.core.models import Record, utc_now
from app.core.repository import Repository


def live_unless_deleted(context: Any) -> bool | None:
    return None if context.get_current_parameters().get("deleted_at") else True


class SoftDelete:
    """A mixin for tables whose rows are hidden from queries once `deleted_at` is set.

    What must be unique among the living is `UniqueConstraint("email", "is_live")`: `is_live` is
    true or NULL, and NULL equals nothing, so that a deleted row is in nobody's way. Databases
    without partial indexes can do that, too.
    """

    deleted_at: Mapped[datetime | None] = mapped_column(default=None, index=True, sort_order=2)
    is_live: Mapped[bool | None] = mapped_column(default=live_unless_deleted, sort_order=2)

    def mark_deleted(self) -> None:
        self.deleted_at = utc_now()
        self.is_live = None

    def restore(self) -> None:
        self.deleted_at = None
        self.is_live = True


def live_or_deleted() -> CheckConstraint:
    """For the `__table_args__` of a soft-deleted table: the two columns agree."""
    return CheckConstraint("(deleted_at IS NULL) = (is_live IS NOT NULL)", name="live_or_deleted")


HIDE_DELETED = with_loader_criteria(
    SoftDelete, lambda cls: cls.deleted_at.is_(None), include_aliases=True
)


@event.listens_for(Session, "do_orm_execute")
def hide_deleted(state: ORMExecuteState) -> None:
    """Add the condition to every query through the ORM: also to counts, joins and loaded relations.

    Not to `text()` and not to `Model.__table__`. `execution_options(with_deleted=True)` lifts it.
    """
    if state.is_column_load or state.is_relationship_load:
        return  # the query that loads the owner has passed the condition on
    if state.is_orm_statement and not state.execution_options.get("with_deleted"):
        state.statement = state.statement.options(HIDE_DELETED)


class SoftDeletable(SoftDelete, Record):
    __abstract__ = True


R = TypeVar("R", bound=SoftDeletable)


class SoftDeleteRepository(Repository[R]):
    """A repository whose `delete` hides the record."""

    async def delete(self, record: R) -> None:
        record.mark_deleted()
        await self.session.flush()

    async def restore(self, id: UUID, *options: ORMOption) -> R:
        """Bring the record back; one that is not deleted stays as it is. Raises `NotFoundError`."""
        record = await self.get(id, *options, with_deleted=True)
        record.restore()
        await self.session.flush()
        return record

    async def purge(self, *, deleted_before: datetime) -> int:
        """Delete for good what was hidden before that instant; return how many rows."""
        statement = delete(self.model).where(self.model.deleted_at < deleted_before)
        result: CursorResult[Any] = await self.session.execute(  # type: ignore[assignment]
            statement, execution_options={"with_deleted": True, "synchronize_session": False}
        )
        return result.rowcount
