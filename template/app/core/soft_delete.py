"""Soft deletion: records are hidden, can be restored, and are purged later."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Executable, Update, delete, event, inspect
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria
from sqlalchemy.orm.exc import ObjectDeletedError
from sqlalchemy.orm.interfaces import ORMOption, UserDefinedOption

from app.core import driver
from app.core.bulk import count_affected
from app.core.direct import OPTIONS
from app.core.models import Record, utc_now
from app.core.reads import once_for_each_query
from app.core.repository import Repository


def live_unless_deleted(context: Any) -> bool | None:
    return None if context.get_current_parameters().get("deleted_at") else True


class SoftDelete:
    """A mixin for tables whose rows are hidden from queries once `deleted_at` is set.

    For values that are unique among rows that are not deleted, use
    `UniqueConstraint("email", "is_live")`. `is_live` is true or NULL, and NULL equals nothing, so
    deleted rows never conflict. This also works on databases without partial indexes.
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
    """Return a constraint for `__table_args__` that keeps the two columns consistent."""
    return CheckConstraint("(deleted_at IS NULL) = (is_live IS NOT NULL)", name="live_or_deleted")


HIDE_DELETED = with_loader_criteria(
    SoftDelete, lambda cls: driver.null_in_most_rows(cls.deleted_at), include_aliases=True
)
OPTIONS.append(HIDE_DELETED)


class DeletedRows(UserDefinedOption):
    """Pass on to queries for a record's relationships whether it was loaded with deleted rows."""

    propagate_to_loaders = True


HIDDEN, SHOWN = DeletedRows(), DeletedRows()


@once_for_each_query
def without_deleted(statement: Executable) -> Executable:
    """Add the options. That takes 0.1 ms, which a statement in a constant takes once."""
    return statement.options(HIDE_DELETED, HIDDEN)


@event.listens_for(Session, "do_orm_execute")
def hide_deleted(state: ORMExecuteState) -> None:
    """Exclude deleted rows from every SELECT, UPDATE and DELETE, with joins and subqueries.

    `execution_options(with_deleted=True)` includes them. There is no condition in `text()`,
    statements on `Model.__table__`, statements that a connection executes, or the UPDATE of a
    loaded record. `session.get` executes no query for a record that is in the session.
    """
    statement = state.statement
    if state.is_column_load or not (statement.is_select or statement.is_dml):
        return
    if state.is_relationship_load and any(
        isinstance(option, DeletedRows) for option in state.user_defined_options
    ):
        return  # the query that loaded the parent has passed on its options
    if state.execution_options.get("with_deleted"):
        state.statement = statement.options(SHOWN)
        return
    if state.is_executemany and isinstance(statement, Update):
        statement = hide_from_bulk_update(state, statement)
    state.statement = without_deleted(statement)


def hide_from_bulk_update(state: ORMExecuteState, statement: Update) -> Update:
    """Add the condition itself: an UPDATE by primary key ignores loader criteria.

    With this condition, SQLAlchemy cannot update the records in the session as well.
    """
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, SoftDelete):
        return statement
    state.update_execution_options(synchronize_session=None)
    return statement.where(mapper.class_.deleted_at.is_(None))


@event.listens_for(SoftDelete, "refresh", propagate=True)
def refuse_deleted(record: SoftDelete, query: Any, names: Collection[str] | None) -> None:
    """Raise `ObjectDeletedError` when a record is refreshed that was deleted in the meantime.

    SQLAlchemy does the same if the row no longer exists. Records that were loaded with
    `with_deleted` can be refreshed.
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
        """Restore the record if it is deleted, or raise `NotFoundError` if it does not exist."""
        record = await self.get(id, *options, with_deleted=True)
        record.restore()
        await self.session.flush()
        return record

    async def purge(self, *, deleted_before: datetime) -> int:
        """Permanently delete rows that were soft-deleted before that instant; return the number.

        Raise `IntegrityError` and delete nothing if another row refers to one of them.
        `purge_deleted` in `app/core/purge.py` skips such rows.
        """
        statement = delete(self.model).where(self.model.deleted_at < deleted_before)
        options = {"with_deleted": True, "synchronize_session": False}
        return await count_affected(self.session, statement.execution_options(**options))
