"""Records that are hidden instead of deleted, can come back, and are deleted for good later."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Update, delete, event, inspect
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria
from sqlalchemy.orm.exc import ObjectDeletedError
from sqlalchemy.orm.interfaces import ORMOption, UserDefinedOption

from app.core.bulk import count_affected
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


class DeletedRows(UserDefinedOption):
    """Tells a query for the relationships of a record how the record was loaded."""

    propagate_to_loaders = True


HIDDEN, SHOWN = DeletedRows(), DeletedRows()


@event.listens_for(Session, "do_orm_execute")
def hide_deleted(state: ORMExecuteState) -> None:
    """Add the condition to every SELECT, UPDATE and DELETE, and to their joins and subqueries.

    `execution_options(with_deleted=True)` lifts it. It is not added to `text()`,
    `Model.__table__`, statements that a connection executes, and the UPDATE of a record that was
    loaded and changed. `session.get` executes nothing for a record that the session has.
    """
    statement = state.statement
    if state.is_column_load or not (statement.is_select or statement.is_dml):
        return
    if state.is_relationship_load and any(
        isinstance(option, DeletedRows) for option in state.user_defined_options
    ):
        return  # the query that loaded the owner has passed its options on
    if state.execution_options.get("with_deleted"):
        state.statement = statement.options(SHOWN)
        return
    if state.is_executemany and isinstance(statement, Update):
        statement = hide_from_bulk_update(state, statement)
    state.statement = statement.options(HIDE_DELETED, HIDDEN)


def hide_from_bulk_update(state: ORMExecuteState, statement: Update) -> Update:
    """An UPDATE by primary key ignores the option.

    With a condition of its own, SQLAlchemy cannot update the records in the session as well.
    """
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, SoftDelete):
        return statement
    state.update_execution_options(synchronize_session=None)
    return statement.where(mapper.class_.deleted_at.is_(None))


@event.listens_for(SoftDelete, "refresh", propagate=True)
def refuse_deleted(record: SoftDelete, query: Any, names: Collection[str] | None) -> None:
    """Raise `ObjectDeletedError` for a record that is read again and was deleted meanwhile.

    As SQLAlchemy does if its row is gone. What was loaded with `with_deleted` can be refreshed.
    """
    if (names is None or "deleted_at" in names) and record.deleted_at is not None:
        state = inspect(record)
        if SHOWN not in state.load_options and not query.execution_options.get("with_deleted"):
            raise ObjectDeletedError(state)


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
        """Delete for good what was hidden before that instant; return how many rows.

        All or none: a row that others refer to is an `IntegrityError`. `purge_deleted` of
        `app/core/purge.py` skips such rows.
        """
        statement = delete(self.model).where(self.model.deleted_at < deleted_before)
        options = {"with_deleted": True, "synchronize_session": False}
        return await count_affected(self.session, statement.execution_options(**options))
