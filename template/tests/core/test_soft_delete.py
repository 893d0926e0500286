from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, exists, func, insert, literal, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, joinedload, selectinload
from sqlalchemy.orm.exc import ObjectDeletedError

from app.core.bulk import delete_rows, update_by_ids, update_rows
from app.core.database import Database
from app.core.errors import NotFoundError
from app.core.models import utc_now
from tests.core.lab import LabLoan, LabMember, LabShelf, MemberRepository, table_of


@pytest.fixture
async def members(session: AsyncSession) -> MemberRepository:
    return MemberRepository(session)


async def deleted_member(members: MemberRepository, name: str = "Ada") -> LabMember:
    member = await members.add(LabMember(name=name))
    await members.delete(member)
    await members.session.commit()
    members.session.expunge_all()
    return member


async def test_a_deleted_record_is_hidden_from_every_query(members: MemberRepository) -> None:
    member = await deleted_member(members)

    assert await members.find(member.id) is None
    assert await members.count() == 0
    assert list(await members.list(limit=10)) == []
    assert await members.session.get(LabMember, member.id) is None
    assert await members.session.scalar(select(func.max(LabMember.name))) is None


OTHER = aliased(LabMember)


@pytest.mark.parametrize(
    "query",
    [
        select(exists().where(LabMember.name == "Ada")),
        select(exists().where(OTHER.name == "Ada")),
        select(exists(select(LabMember.id))),
        exists().where(LabMember.name == "Ada").select(),
        select(literal(True)).where(exists().where(LabMember.name == "Ada")),
        select(select(func.count(LabMember.id)).scalar_subquery()),
        select(func.count()).select_from(select(LabMember.id).subquery()),
        select(LabLoan.id).where(LabLoan.member.has()),
        select(LabLoan.id).where(exists().where(LabMember.id == LabLoan.member_id)),
        select(LabLoan.id).where(LabLoan.member_id.in_(select(LabMember.id))),
        select(table_of(LabLoan).c.id).where(exists().where(LabMember.name == "Ada")),
        select(LabLoan.id).join(LabLoan.member),
        select(LabMember.id).union(select(OTHER.id)),
    ],
)
async def test_a_deleted_record_is_hidden_from_every_subquery(
    members: MemberRepository, query: Any
) -> None:
    member = await deleted_member(members)
    members.session.add(LabLoan(member_id=member.id))
    await members.session.flush()

    assert not await members.session.scalar(query)
    assert await members.session.scalar(query.execution_options(with_deleted=True))


async def test_a_deleted_record_is_not_found_by_what_refers_to_it(
    members: MemberRepository,
) -> None:
    member = await members.add(LabMember(name="Ada", loans=[LabLoan()]))
    query = select(LabMember.id).where(LabMember.loans.any())
    assert await members.session.scalar(query) == member.id

    await members.delete(member)

    assert await members.session.scalar(query) is None


async def test_a_record_that_the_session_knows_is_hidden_too(members: MemberRepository) -> None:
    member = await members.add(LabMember(name="Ada"))
    await members.delete(member)

    with pytest.raises(NotFoundError):
        await members.get(member.id)


async def test_a_bulk_update_leaves_deleted_records_alone(members: MemberRepository) -> None:
    await deleted_member(members)
    await members.session.execute(update(LabMember).values(name="changed"))

    query = select(LabMember.name).execution_options(with_deleted=True)
    assert await members.session.scalar(query) == "Ada"


async def name_of(members: MemberRepository, member: LabMember) -> str | None:
    table = table_of(LabMember)
    return await members.session.scalar(select(table.c.name).where(table.c.id == member.id))


async def test_rows_that_are_deleted_are_not_updated_by_their_keys(
    members: MemberRepository,
) -> None:
    deleted, present = await deleted_member(members), await members.add(LabMember(name="Bob"))
    rows = [{"id": each.id, "name": "changed"} for each in (deleted, present)]

    await update_rows(members.session, LabMember, rows)

    assert [await name_of(members, each) for each in (deleted, present)] == ["Ada", "changed"]


async def test_rows_that_are_deleted_are_not_updated_by_their_ids(
    members: MemberRepository,
) -> None:
    deleted, present = await deleted_member(members), await members.add(LabMember(name="Bob"))
    ids = [deleted.id, present.id]

    changed = await update_by_ids(members.session, LabMember, ids, {"name": "changed"})

    assert list(changed) == [present.id]
    assert await name_of(members, deleted) == "Ada"


async def test_rows_that_are_deleted_are_not_deleted_for_good(members: MemberRepository) -> None:
    deleted, present = await deleted_member(members), await members.add(LabMember(name="Bob"))

    assert await delete_rows(members.session, LabMember, [deleted.id, present.id]) == 1

    assert [await name_of(members, each) for each in (deleted, present)] == ["Ada", None]


async def test_writes_that_choose_rows_by_a_query_do_not_see_deleted_ones(
    members: MemberRepository,
) -> None:
    member = await deleted_member(members)
    members.session.add(LabLoan(member_id=member.id))
    await members.session.flush()
    table = table_of(LabLoan)
    of_members = table.c.member_id.in_(select(LabMember.id))
    columns = [LabMember.id, LabMember.name, LabMember.created_at, LabMember.updated_at]

    await members.session.execute(delete(table).where(of_members))
    await members.session.execute(delete(table).where(exists().where(LabMember.name == "Ada")))
    await members.session.execute(
        insert(LabShelf).from_select([column.key for column in columns], select(*columns))
    )

    left = [select(func.count()).select_from(each) for each in (LabLoan, LabShelf)]
    assert [await members.session.scalar(query) for query in left] == [1, 0]


async def test_a_record_that_was_deleted_in_the_meantime_cannot_be_refreshed(
    database: Database, members: MemberRepository
) -> None:
    member = await members.add(LabMember(name="Ada"))
    await members.session.commit()
    async with database.transaction() as other:
        await MemberRepository(other).delete(await MemberRepository(other).get(member.id))

    with pytest.raises(ObjectDeletedError):
        await members.session.refresh(member)


async def test_a_deleted_record_that_was_asked_for_can_be_refreshed(
    members: MemberRepository,
) -> None:
    member = await deleted_member(members)
    known = await members.get(member.id, with_deleted=True)
    await members.session.execute(update(table_of(LabMember)).values(name="changed"))

    await members.session.refresh(known)
    assert known.name == "changed"
    members.session.expire(known)
    assert await members.get(member.id, with_deleted=True) is known


@pytest.mark.parametrize("with_deleted", [False, True])
async def test_relationships_show_deleted_records_as_their_query_did(
    members: MemberRepository, with_deleted: bool
) -> None:
    member = await deleted_member(members)
    made = LabLoan(member_id=member.id)
    members.session.add(made)
    await members.session.flush()
    assert await made.awaitable_attrs.member_on_demand is None
    members.session.expunge_all()

    for option in (joinedload(LabLoan.member), selectinload(LabLoan.member)):
        query = select(LabLoan).options(option).execution_options(with_deleted=with_deleted)
        loan = (await members.session.scalars(query)).one()
        assert (loan.member is not None) == with_deleted
        assert (await loan.awaitable_attrs.member_on_demand is not None) == with_deleted
        members.session.expunge_all()


async def test_a_deleted_record_can_be_asked_for(members: MemberRepository) -> None:
    member = await deleted_member(members)

    query = select(LabMember).execution_options(with_deleted=True)
    found = (await members.session.scalars(query)).one()

    assert found.id == member.id
    assert found.deleted_at is not None


async def test_a_unique_value_is_free_after_a_deletion(members: MemberRepository) -> None:
    await deleted_member(members)
    await deleted_member(members)
    await members.add(LabMember(name="Ada"))

    with pytest.raises(DBAPIError):
        await members.add(LabMember(name="Ada"))


async def test_a_restored_record_is_back(members: MemberRepository) -> None:
    member = await deleted_member(members)

    restored = await members.restore(member.id)

    assert restored.deleted_at is None
    assert await members.count() == 1


async def test_a_record_whose_value_was_taken_cannot_come_back(members: MemberRepository) -> None:
    member = await deleted_member(members)
    await members.add(LabMember(name="Ada"))

    with pytest.raises(DBAPIError):
        await members.restore(member.id)


async def test_the_two_columns_cannot_disagree(members: MemberRepository) -> None:
    await members.add(LabMember(name="Ada"))

    with pytest.raises(DBAPIError):
        await members.session.execute(update(LabMember).values(deleted_at=utc_now()))


async def test_a_purge_in_one_transaction_is_all_or_nothing(members: MemberRepository) -> None:
    member = await deleted_member(members)
    await deleted_member(members)
    members.session.add(LabLoan(member_id=member.id))
    await members.session.flush()

    with pytest.raises(DBAPIError):
        await members.purge(deleted_before=utc_now())


async def test_a_purge_deletes_what_was_deleted_before(members: MemberRepository) -> None:
    await deleted_member(members, "old")
    now = utc_now()
    await deleted_member(members, "new")
    await members.add(LabMember(name="alive"))

    assert await members.purge(deleted_before=now) == 1
    assert await members.purge(deleted_before=now + timedelta(days=1)) == 1
    assert await members.count() == 1
