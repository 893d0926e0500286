from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.domains.users.models import User
from app.domains.users.repository import RoleRepository, UserRepository


class UserService:
    def __init__(self, session: AsyncSession) -> None:
        self.users = UserRepository(session)
        self.roles = RoleRepository(session)

    async def give_role(self, user_id: UUID, name: str) -> User:
        user = await self.users.get(user_id)
        await self.users.give_role(user, await self.roles.get_or_create(name))
        return await self.users.get(user_id, selectinload(User.roles))

    async def take_role(self, user_id: UUID, name: str) -> None:
        await self.users.take_role(await self.users.get(user_id), name)
