import asyncio
import logging
import sys

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.purge import Purge
from app.domains.users.models import Role
from app.domains.users.purge import main, purge_users
from app.settings import Settings
from tests.domains.users.factories import create_deleted_user, create_user


async def test_the_job_purges_who_was_deleted_long_ago(
    client: AsyncClient, session: AsyncSession
) -> None:
    old = await create_deleted_user(session, days_ago=31, roles=[Role(name="admin")])
    recent = await create_deleted_user(session, days_ago=29)
    present = await create_user(session)

    assert await purge_users(Settings(), days=30) == Purge(purged=1, skipped=0)

    restored = [await client.post(f"/users/{each.id}/restore") for each in (old, recent, present)]
    assert [response.status_code for response in restored] == [404, 200, 200]


async def test_the_job_is_a_command(
    client: AsyncClient,
    session: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    user = await create_deleted_user(session, days_ago=31)
    monkeypatch.setattr(sys, "argv", ["purge", "30"])

    with caplog.at_level(logging.INFO):
        await asyncio.to_thread(main)

    assert "Purged 1 users, skipped 0 that are still referenced." in caplog.text

    assert (await client.post(f"/users/{user.id}/restore")).status_code == 404


@pytest.mark.parametrize("days", ["-1", "1000000000", "soon"])
def test_the_command_refuses_what_is_no_number_of_days(
    days: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["purge", days])

    with pytest.raises(SystemExit):
        main()
