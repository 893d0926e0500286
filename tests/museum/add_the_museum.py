"""Make the tables of the museum, as its models say."""

from alembic import op

from app.core.models import Base
from app.core.registry import import_models

revision: str = "c0ffee000001"
down_revision: str | tuple[str, ...] | None = "5a3f0c1d7b24"
branch_labels: str | tuple[str, ...] | None = None
depends_on: str | tuple[str, ...] | None = None


def upgrade() -> None:
    import_models()
    Base.metadata.create_all(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError
