"""Tables and endpoints for the tests of `app/core`, which know nothing of the domains."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Response
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Dialect,
    ForeignKey,
    MetaData,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship, remote, validates
from sqlalchemy.types import TypeDecorator

from app.core.answers import StoredAnswer
from app.core.database import (
    DatabaseDep,
    PrimaryReadSessionDep,
    ReadSessionDep,
    SessionDep,
)
from app.core.errors import ConflictError
from app.core.idempotency import OnceDep
from app.core.models import Base, Cents, IntegerKey, Name, Record
from app.core.repository import Repository
from app.core.responses import problems
from app.core.schemas import Cents as CentsField
from app.core.schemas import (
    Email,
    Instant,
    LongText,
    PlainText,
    RecordRead,
    RequestModel,
    ResponseModel,
    optional,
)
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


class LabIdempotencyKey(StoredAnswer):
    __tablename__ = "lab_idempotency_keys"
    metadata = METADATA


class LabCounter(IntegerKey, Base):
    __tablename__ = "lab_counters"
    metadata = METADATA

    name: Mapped[Name] = mapped_column(unique=True)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Reversed(TypeDecorator[str]):
    """A text that is stored the other way round."""

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return value and value[::-1]

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return value and value[::-1]


class LabSample(SoftDeletable):
    """A column of each kind, and records of the same kind around it."""

    __tablename__ = "lab_samples"
    __table_args__ = (UniqueConstraint("name", "is_live"), live_or_deleted())
    metadata = METADATA

    name: Mapped[Name]
    parent_id: Mapped[UUID | None]
    at: Mapped[datetime | None]
    is_good: Mapped[bool | None]
    amount: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    details: Mapped[Any] = mapped_column(JSON, nullable=True)
    code: Mapped[str | None] = mapped_column(Reversed)
    color: Mapped[Color | None] = mapped_column(EnumType(Color, native_enum=False, length=10))
    count: Mapped[int] = mapped_column(default=7)
    label: Mapped[str] = mapped_column(default=lambda: "made")
    copied: Mapped[str] = mapped_column(
        default=lambda context: context.get_current_parameters()["name"]
    )
    parent: Mapped["LabSample | None"] = relationship(
        primaryjoin=lambda: foreign(LabSample.parent_id) == remote(LabSample.id),
        back_populates="children",
        lazy="raise",
    )
    children: Mapped[list["LabSample"]] = relationship(
        primaryjoin=lambda: remote(foreign(LabSample.parent_id)) == LabSample.id,
        back_populates="parent",
        lazy="raise",
        order_by="LabSample.id",
    )

    @validates("name")
    def check_name(self, _: str, name: str) -> str:
        if name == "refused":
            raise ValueError("This name is refused.")
        return name.capitalize()


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


class SampleRepository(SoftDeleteRepository[LabSample]):
    model = LabSample


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


class SampleCreate(RequestModel):
    name: str
    parent_id: UUID | None = None
    at: datetime | None = None
    is_good: bool | None = None
    amount: Decimal | None = None
    details: Any = None
    code: str | None = None
    color: Color | None = None


class SampleRead(RecordRead):
    name: str
    parent_id: UUID | None
    at: datetime | None
    is_good: bool | None
    amount: Decimal | None
    details: Any
    code: str | None
    color: Color | None
    count: int
    label: str
    copied: str


class SampleName(ResponseModel):
    name: str


class SampleFamily(ResponseModel):
    """A record with a nested record and a nested list."""

    id: UUID
    name: str
    parent: SampleName | None
    children: list[SampleName]


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


SAMPLES_BY_NAME = (
    select(LabSample)
    .where(LabSample.name == bindparam("name"))
    .order_by(LabSample.id)
    .limit(bindparam("limit"))
)

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


@router.post("/once/shelves", status_code=201, response_model=ShelfRead)
async def create_shelf_once(
    data: ShelfCreate, session: SessionDep, once: OnceDep
) -> LabShelf | Response:
    return await once(session, ShelfRepository(session).create(data))


@router.post("/once/run", response_model=ShelfRead)
async def create_shelf_once_in_a_retried_transaction(
    data: ShelfCreate, database: DatabaseDep, once: OnceDep
) -> LabShelf | Response:
    return await database.run(lambda own: once(own, ShelfRepository(own).create(data)))


async def create_many_shelves(data: ShelfCreate, session: SessionDep) -> str:
    for number in range(3):
        await ShelfRepository(session).create(ShelfCreate(name=f"{data.name} {number}"))
    return 70_000 * "x"


@router.post("/once/long")
async def create_shelves_once(data: ShelfCreate, session: SessionDep, once: OnceDep) -> Any:
    return await once(session, create_many_shelves(data, session))


async def add_without_flush(data: ShelfCreate, session: SessionDep) -> None:
    session.add(LabShelf(name=data.name))


@router.post("/once/silent", status_code=204)
async def create_shelf_once_silently(
    data: ShelfCreate, session: SessionDep, once: OnceDep
) -> Response:
    answer = await once(session, add_without_flush(data, session))
    return answer or Response(status_code=204)


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


@router.post("/samples", status_code=201)
async def insert_sample(data: SampleCreate, session: SessionDep) -> SampleRead:
    return await SampleRepository(session).insert(data, SampleRead)


@router.post("/samples/unflushed", status_code=201)
async def insert_sample_and_fail_to_commit(data: SampleCreate, session: SessionDep) -> SampleRead:
    stored = await SampleRepository(session).insert(data, SampleRead)
    session.add(LabSample(name=data.name))
    return stored


@router.post("/samples/read-only")
async def insert_sample_into_read_session(data: SampleCreate, session: ReadSessionDep) -> None:
    await SampleRepository(session).insert(data, SampleRead)


@router.get("/samples/{sample_id}")
async def read_sample(sample_id: UUID, session: ReadSessionDep) -> SampleRead:
    return await SampleRepository(session).read(sample_id, SampleRead)


@router.get("/samples")
async def find_samples(session: ReadSessionDep, name: str, limit: int = 100) -> list[SampleName]:
    samples = SampleRepository(session)
    return await samples.read_all(SAMPLES_BY_NAME, SampleName, name=name, limit=limit)


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
