from uuid import UUID

from app.core.schemas import Email, Name, RecordRead, RequestModel, ResponseModel, optional


class UserCreate(RequestModel):
    email: Email
    full_name: Name


class UserUpdate(RequestModel):
    email: Email = optional()
    full_name: Name = optional()
    is_active: bool = optional(strict=True)


class UserRead(RecordRead):
    email: str
    full_name: str
    is_active: bool


class RoleRead(ResponseModel):
    id: UUID
    name: str


class UserWithRoles(UserRead):
    roles: list[RoleRead]
