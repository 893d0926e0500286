import asyncio
import subprocess
import sys
from uuid import uuid4

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core.commands import command_line
from tests.domains.users.factories import create_deleted_user


async def test_a_deleted_user_is_restored(client: AsyncClient, session: AsyncSession) -> None:
    user = await create_deleted_user(session, days_ago=1)

    words = ["users", "restore", str(user.id)]
    result = await asyncio.to_thread(CliRunner().invoke, command_line, words)

    assert result.stdout == f"Restored {user.email}.\n"
    assert (await client.get(f"/users/{user.id}")).status_code == 200


async def test_a_user_who_is_not_there_is_one_sentence(client: AsyncClient) -> None:
    words = ["users", "restore", str(uuid4())]
    result = await asyncio.to_thread(CliRunner().invoke, command_line, words)

    assert result.exit_code == 1
    assert result.stderr == "There is no user with this id.\n"


async def test_users_who_were_deleted_long_ago_are_purged(
    client: AsyncClient, session: AsyncSession
) -> None:
    await create_deleted_user(session, days_ago=31)
    await create_deleted_user(session, days_ago=29)

    result = await asyncio.to_thread(CliRunner().invoke, command_line, ["purge", "--days", "30"])

    assert ["users", "1", "0"] in [line.split() for line in result.stdout.splitlines()]


def test_the_help_does_not_wait_for_the_imports_of_the_database() -> None:
    program = (
        "import sys; from app.core.commands import command_line as run;"
        "run(['--help'], standalone_mode=False); print('imported:', *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    imported = ran.stdout.rpartition("imported:")[2].split()
    assert "app.domains.users.commands" in imported
    assert "sqlalchemy" not in imported
