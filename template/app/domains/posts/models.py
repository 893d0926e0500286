from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, String, Table, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.models import Base, LongText, Name, Record, partial_index
from app.domains.users.models import User

post_tags = Table(
    "post_tags",
    Base.metadata,
    Column("post_id", ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_post_tags_tag_id", "tag_id"),
)


class Tag(Record):
    __tablename__ = "tags"

    name: Mapped[str] = mapped_column(String(50), unique=True)


class Post(Record):
    __tablename__ = "posts"
    __table_args__ = (
        Index("ix_posts_author_id_id", "author_id", "id"),  # an author's posts, newest first
        # Only a few posts are pinned. `is_pinned` is for a database whose indexes have all rows.
        partial_index("ix_posts_pinned", "is_pinned", "id", where="is_pinned = true"),
    )

    title: Mapped[Name]
    body: Mapped[LongText]
    is_pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))

    author: Mapped[User | None] = relationship(lazy="raise")
    tags: Mapped[list[Tag]] = relationship(secondary=post_tags, order_by=Tag.name, lazy="raise")
