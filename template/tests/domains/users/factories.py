from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.models import utc_now
from app.domains.users.models import User


async def create_user(session: AsyncSession, **values: Any) -> User:
    user = User(**{"email": f"{uuid4()}@example.com", "full_name": "Ada Lovelace", **values})
    session.add(user)
    await session.commit()
    return user


async def create_deleted_user(session: AsyncSession, *, days_ago: int = 0, **values: Any) -> User:
    user = await create_user(session, **values)
    user.mark_deleted()
    user.deleted_at = utc_now() - timedelta(days=days_ago)
    await session.commit()
    return user
