from uuid import UUID

from fastapi import APIRouter, Response

from app.core.database import ReadSessionDep, SessionDep
from app.core.idempotency import OnceDep
from app.core.pagination import KeysetPage, KeysetPageRead, Limit
from app.core.responses import problems
from app.core.schemas import Slug
from app.domains.users.models import User
from app.domains.users.repository import UserRepository
from app.domains.users.schemas import UserCreate, UserRead, UserUpdate, UserWithRoles
from app.domains.users.service import UserService

router = APIRouter(prefix="/users", tags=["users"])


@router.post("", status_code=201, response_model=UserRead, responses=problems(409))
async def create_user(data: UserCreate, session: SessionDep, once: OnceDep) -> UserRead | Response:
    return await once(session, UserRepository(session).insert(data, UserRead))


@router.get("", response_model=KeysetPageRead[UserRead])
async def list_users(
    session: ReadSessionDep, limit: Limit = 50, after: UUID | None = None
) -> KeysetPage[UserRead]:
    return await UserRepository(session).list_after(after, limit=limit)


@router.get("/{user_id}", responses=problems(404))
async def read_user(user_id: UUID, session: ReadSessionDep) -> UserRead:
    return await UserRepository(session).read(user_id, UserRead)


@router.patch("/{user_id}", response_model=UserRead, responses=problems(404, 409))
async def update_user(user_id: UUID, data: UserUpdate, session: SessionDep) -> User:
    users = UserRepository(session)
    return await users.update(await users.get(user_id), data)


@router.delete("/{user_id}", status_code=204, responses=problems(404))
async def delete_user(user_id: UUID, session: SessionDep) -> None:
    users = UserRepository(session)
    await users.delete(await users.get(user_id))


@router.post("/{user_id}/restore", response_model=UserRead, responses=problems(404, 409))
async def restore_user(user_id: UUID, session: SessionDep) -> User:
    return await UserRepository(session).restore(user_id)


@router.put("/{user_id}/roles/{name}", response_model=UserWithRoles, responses=problems(404))
async def give_role(user_id: UUID, name: Slug, session: SessionDep) -> User:
    return await UserService(session).give_role(user_id, name)


@router.delete("/{user_id}/roles/{name}", status_code=204, responses=problems(404))
async def take_role(user_id: UUID, name: Slug, session: SessionDep) -> None:
    await UserService(session).take_role(user_id, name)
