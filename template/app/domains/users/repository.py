from collections.abc import Collection
from uuid import UUID

from sqlalchemy import bindparam, delete, select

from app.core import driver
from app.core.bulk import upsert_rows
from app.core.pagination import FIRST_ID, KeysetPage, keyset_page
from app.core.repository import Repository
from app.core.soft_delete import SoftDeleteRepository
from app.domains.users.models import Role, User, user_roles
from app.domains.users.schemas import UserRead

USERS_AFTER = (
    select(User).where(User.id > bindparam("after")).order_by(User.id).limit(bindparam("limit"))
)


class UserRepository(SoftDeleteRepository[User]):
    model = User

    async def list_after(self, after: UUID | None, *, limit: int) -> KeysetPage[UserRead]:
        """Return the users who were created after the one with the id `after`."""
        users = await self.read_all(USERS_AFTER, UserRead, after=after or FIRST_ID, limit=limit + 1)
        return keyset_page(users, key="id", limit=limit)

    async def find_existing(self, ids: Collection[UUID]) -> set[UUID]:
        """Return the ids that belong to users."""
        return set(await self.session.scalars(select(User.id).where(User.id.in_(ids))))

    async def give_role(self, user: User, role: Role) -> None:
        """Add the role. This has no effect if the user has it, even if added concurrently."""
        statement = driver.upsert(user_roles, key=["user_id", "role_id"], update=[])
        await self.session.execute(statement, [{"user_id": user.id, "role_id": role.id}])

    async def take_role(self, user: User, name: str) -> None:
        role = select(Role.id).where(Role.name == name).scalar_subquery()
        await self.session.execute(
            delete(user_roles).where(user_roles.c.user_id == user.id, user_roles.c.role_id == role)
        )


class RoleRepository(Repository[Role]):
    model = Role

    async def get_or_create(self, name: str) -> Role:
        await upsert_rows(self.session, Role, [{"name": name}], key=["name"], update=[])
        return (await self.session.scalars(select(Role).where(Role.name == name))).one()
