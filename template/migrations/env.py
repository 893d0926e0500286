"""Run migrations on the database in the settings."""

import asyncio
import logging
from typing import Any, Literal

from alembic import context
from sqlalchemy import Enum, String
from sqlalchemy.sql.elements import False_, True_
from sqlalchemy.types import TypeDecorator

from app.core import autogenerate, driver, revisions
from app.core.logs import configure_logs
from app.core.migrations import is_news, migrate, migration_urls, read_settings
from app.core.models import Base
from app.core.registry import import_models
from app.core.settings import CoreSettings
from app.settings import Settings


def render_item(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Render plain SQLAlchemy, because revisions must not depend on the service's code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    if kind == "type" and isinstance(item, Enum) and not item.native_enum:
        return f"sa.{String(item.length)!r}"
    default = getattr(item, "arg", None)
    if kind == "server_default" and isinstance(default, True_ | False_):
        return f"sa.{default}()"
    return False


def configure(**options: Any) -> None:
    context.configure(
        target_metadata=Base.metadata,
        render_item=render_item,
        autogenerate_plugins=autogenerate.PLUGINS,
        process_revision_directives=revisions.arrange,
        **driver.MIGRATION_OPTIONS,
        **options,
    )


def print_sql(settings: CoreSettings) -> None:
    url = migration_urls(settings)[0].render_as_string(hide_password=False)
    configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


import_models()
settings = read_settings(Settings)
configure_logs(level=settings.log_level, json=settings.log_json)
logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it lists its plug-ins
logging.getLogger("alembic.runtime.migration").addFilter(is_news)
if context.is_offline_mode():
    print_sql(settings)
else:
    asyncio.run(migrate(settings, configure))
