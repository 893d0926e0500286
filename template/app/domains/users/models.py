from sqlalchemy import Column, ForeignKey, Index, String, Table, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.core.models import Base, Name, Record
from app.core.soft_delete import SoftDeletable, live_or_deleted

user_roles = Table(
    "user_roles",
    Base.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_user_roles_role_id", "role_id"),
)


class Role(Record):
    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String(50), unique=True)


class User(SoftDeletable):
    """A person. The address is unique among users who are not deleted, regardless of case."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email", "is_live"), live_or_deleted())

    email: Mapped[str] = mapped_column(String(254))
    full_name: Mapped[Name]
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())

    roles: Mapped[list[Role]] = relationship(secondary=user_roles, order_by=Role.name, lazy="raise")

    @validates("email")
    def fold_case(self, _: str, email: str) -> str:
        return email.lower()
