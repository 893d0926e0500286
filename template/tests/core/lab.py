"""Tables and endpoints for the tests of `app/core`, which know nothing of the domains."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.database import (
    DatabaseDep,
    PrimaryReadSessionDep,
    ReadSessionDep,
    SessionDep,
)
from app.core.errors import ConflictError
from app.core.models import Base, Cents, IntegerKey, Name, Record
from app.core.repository import Repository
from app.core.responses import problems
from app.core.schemas import Cents as CentsField
from app.core.schemas import Email, Instant, LongText, PlainText, RecordRead, RequestModel, optional
from app.core.schemas import Name as NameField
from app.core.settings import CoreSettings, get_settings
from app.core.soft_delete import SoftDeletable, SoftDeleteRepository, live_or_deleted
from app.core.streaming import NdjsonResponse, stream_rows

# Their tables are not the service's: no migration makes them, none finds them missing.
METADATA = MetaData(naming_convention=Base.metadata.naming_convention)


class LabShelf(Record):
    __tablename__ = "lab_shelves"
    metadata = METADATA

    name: Mapped[Name] = mapped_column(unique=True)
    books: Mapped[list["LabBook"]] = relationship(
        back_populates="shelf", cascade="all, delete-orphan", lazy="raise", order_by="LabBook.id"
    )


class LabBook(Record):
    __tablename__ = "lab_books"
    __table_args__ = (CheckConstraint("price >= 0", name="price"),)
    metadata = METADATA

    shelf_id: Mapped[UUID] = mapped_column(ForeignKey("lab_shelves.id"), index=True)
    title: Mapped[str] = mapped_column(String(50))
    price: Mapped[Cents] = mapped_column(default=0)
    read_at: Mapped[datetime | None]
    shelf: Mapped[LabShelf] = relationship(back_populates="books", lazy="raise")
    # What `awaitable_attrs` is for: a relationship that is loaded on access.
    shelf_on_demand: Mapped[LabShelf] = relationship(lazy="select", viewonly=True)


class LabMember(SoftDeletable):
    __tablename__ = "lab_members"
    __table_args__ = (UniqueConstraint("name", "is_live"), live_or_deleted())
    metadata = METADATA

    name: Mapped[Name]
    loans: Mapped[list["LabLoan"]] = relationship(back_populates="member", lazy="raise")


class LabLoan(Record):
    """What a member who is deleted may still have."""

    __tablename__ = "lab_loans"
    metadata = METADATA

    member_id: Mapped[UUID] = mapped_column(ForeignKey("lab_members.id"), index=True)
    member: Mapped[LabMember | None] = relationship(back_populates="loans", lazy="raise")
    member_on_demand: Mapped[LabMember | None] = relationship(lazy="select", viewonly=True)


class LabNote(Record):
    """A record that counts its versions: a write based on an old one is refused."""

    __tablename__ = "lab_notes"
    metadata = METADATA

    text: Mapped[Name]
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}


class LabCounter(IntegerKey, Base):
    __tablename__ = "lab_counters"
    metadata = METADATA

    name: Mapped[Name] = mapped_column(unique=True)


def table_of(model: type[Base]) -> Table:
    """For statements that go around the ORM: they do what another process would."""
    assert isinstance(model.__table__, Table)
    return model.__table__


class ShelfRepository(Repository[LabShelf]):
    model = LabShelf


class BookRepository(Repository[LabBook]):
    model = LabBook


class MemberRepository(SoftDeleteRepository[LabMember]):
    model = LabMember


class ShelfCreate(RequestModel):
    name: NameField


class UncheckedBook(RequestModel):
    """What a schema should not let through."""

    shelf_id: UUID
    title: Any = None
    price: int = 0


class ShelfUpdate(RequestModel):
    name: NameField = optional()


class ShelfRead(RecordRead):
    name: str


class Everything(RequestModel):
    """One field of each kind that `app/core/schemas.py` offers."""

    text: PlainText = ""
    name: NameField = "name"
    long_text: LongText = "text"
    email: Email = "a@example.com"
    cents: CentsField = 0
    instant: Instant | None = None


class TooManyShelvesError(ConflictError):
    problem_type = "urn:problem:shelves-full"


router = APIRouter(prefix="/lab")


@router.post("/shelves", status_code=201, response_model=ShelfRead, responses=problems(409))
async def create_shelf(data: ShelfCreate, session: SessionDep) -> LabShelf:
    return await ShelfRepository(session).create(data)


@router.post("/unflushed", status_code=201)
async def create_shelf_at_commit(data: ShelfCreate, session: SessionDep) -> str:
    session.add(LabShelf(name=data.name))
    return "created"


@router.post("/refused")
async def create_shelf_and_refuse(data: ShelfCreate, session: SessionDep) -> None:
    await ShelfRepository(session).create(data)
    raise TooManyShelvesError("There are too many shelves.")


@router.post("/broken")
async def create_shelf_and_break(data: ShelfCreate, session: SessionDep) -> None:
    await ShelfRepository(session).create(data)
    raise RuntimeError(f"secret {data.name}")


@router.post("/stale/{case}")
async def write_a_stale_record(case: str, session: SessionDep) -> None:
    """Another request changes or deletes the row after this one has read it."""
    note = LabNote(text="one")
    session.add(note)
    await session.flush()
    if case == "changed":
        await session.execute(update(table_of(LabNote)).values(version=2))
    else:
        await session.execute(delete(table_of(LabNote)))
    if case == "refreshed":
        await session.refresh(note)
    if case == "expired":
        session.expire(note)
        await note.awaitable_attrs.text
    note.text = "two"


@router.post("/misused")
async def begin_twice(session: SessionDep) -> None:
    await session.begin()


@router.post("/echo")
async def echo(data: Everything) -> Everything:
    return data


@router.post("/unchecked-books", status_code=201)
async def create_unchecked_book(data: UncheckedBook, session: SessionDep) -> None:
    await BookRepository(session).create(data)


@router.get("/books/newest")
async def read_newest_book() -> str:
    return "newest"


@router.delete("/books/{book_id}", status_code=204)
async def delete_book(book_id: UUID, session: SessionDep) -> None:
    books = BookRepository(session)
    await books.delete(await books.get(book_id))


@router.get("/statuses/{status}", responses=problems(420))
async def raise_status(status: int) -> None:
    raise HTTPException(status, headers={"Location": "/elsewhere"} if status < 400 else None)


@router.get("/shelves")
async def count_shelves(session: ReadSessionDep) -> int:
    return await ShelfRepository(session).count()


@router.get("/shelves/primary")
async def count_shelves_on_the_primary(session: PrimaryReadSessionDep) -> int:
    return await ShelfRepository(session).count()


@router.get("/settings")
async def read_limit(settings: Annotated[CoreSettings, Depends(get_settings)]) -> int:
    return settings.max_body_bytes


@router.post("/read-only")
async def write_to_read_session(data: ShelfCreate, session: ReadSessionDep) -> None:
    await ShelfRepository(session).create(data)


@router.get("/export")
async def export_shelves(database: DatabaseDep) -> NdjsonResponse:
    columns = (LabShelf.id, LabShelf.name, LabShelf.created_at, LabShelf.updated_at)
    return await stream_rows(database, select(*columns).order_by(LabShelf.id), ShelfRead)
