import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core.commands import command_line
from app.core.database import Database
from app.domains.users.models import User
from app.domains.users.schemas import UserRead


def seed() -> None:
    result = CliRunner().invoke(command_line, ["db", "seed", "--users", "150"])
    assert result.exit_code == 0, result.output


async def test_seeded_users_are_as_the_service_would_store_them(
    database: Database, session: AsyncSession
) -> None:
    await asyncio.to_thread(seed)

    everyone = select(User).execution_options(with_deleted=True)
    users = (await session.scalars(everyone)).all()
    assert len(users) == 150
    assert [user.email for user in users] == [user.email.lower() for user in users]
    assert 0 < sum(user.deleted_at is not None for user in users) < 15
    assert all(UserRead.model_validate(user) for user in users)
