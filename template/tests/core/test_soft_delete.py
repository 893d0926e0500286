from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFoundError
from app.core.models import utc_now
from tests.core.lab import LabMember, MemberRepository


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


async def test_a_purge_deletes_what_was_deleted_before(members: MemberRepository) -> None:
    await deleted_member(members, "old")
    now = utc_now()
    await deleted_member(members, "new")
    await members.add(LabMember(name="alive"))

    assert await members.purge(deleted_before=now) == 1
    assert await members.purge(deleted_before=now + timedelta(days=1)) == 1
    assert await members.count() == 1
