from uuid import UUID

from app.core.schemas import Email, Name, Read, RecordRead, Request, optional


class UserCreate(Request):
    email: Email
    full_name: Name


class UserUpdate(Request):
    email: Email = optional()
    full_name: Name = optional()
    is_active: bool = optional(strict=True)


class UserRead(RecordRead):
    email: str
    full_name: str
    is_active: bool


class RoleRead(Read):
    id: UUID
    name: str


class UserWithRoles(UserRead):
    roles: list[RoleRead]
