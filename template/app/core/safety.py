"""What is not safe for a service that others can reach."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from sqlalchemy import make_url
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Send

from app.core import driver
from app.core.hosts import ANY_HOST
from app.core.settings import CoreSettings, parse_url

FOREIGN_ORIGIN = "https://foreign.invalid"


def unsafe_settings(app: FastAPI) -> list[str]:
    """Return what is unsafe, one sentence for each. A service with any of it does not start.

    `app` is what `create_application` returned, with the service's own middleware.
    """
    settings: CoreSettings = app.state.settings
    in_public = unsafe_in_public(settings) if settings.is_public else ()
    return [*in_public, *unsafe_cross_origin(app)]


def unsafe_in_public(settings: CoreSettings) -> Iterator[str]:
    if not settings.allowed_hosts:
        yield "ALLOWED_HOSTS is not set: it needs the host names of the service."
    if ANY_HOST in settings.allowed_hosts:
        yield "ALLOWED_HOSTS has *, which is any host: name those of the service."
    if settings.database_echo:
        yield "DATABASE_ECHO logs the parameters of statements, which may be personal data."
    if settings.log_level == "DEBUG":
        yield "LOG_LEVEL=DEBUG lets libraries log the data that they handle: use INFO."
    for name in ("database_url", "database_replica_url", "database_migration_url"):
        url = getattr(settings, name)
        if url is not None and parse_url(url).password in default_passwords():
            yield f"{name.upper()} has the password of compose.yaml, which is public."


def default_passwords() -> set[str]:
    """Return the passwords that everybody knows. A database that is a file has none."""
    urls = (driver.DEFAULT_URL, driver.DEFAULT_MIGRATION_URL)
    return {password for url in urls if (password := make_url(url).password)}


def unsafe_cross_origin(app: FastAPI) -> Iterator[str]:
    for middleware in app.user_middleware:
        if inspect.isclass(middleware.cls) and issubclass(middleware.cls, CORSMiddleware):
            signature = inspect.signature(middleware.cls)
            options = signature.bind(app, *middleware.args, **middleware.kwargs).arguments
            if options.get("allow_credentials") and allows_any_origin(options):
                yield "CORSMiddleware allows any origin with credentials: name the origins."


def allows_any_origin(options: dict[str, Any]) -> bool:
    pattern = options.get("allow_origin_regex")
    return "*" in options.get("allow_origins", ()) or (
        pattern is not None and re.fullmatch(pattern, FOREIGN_ORIGIN) is not None
    )


async def refuse_to_start(receive: Receive, send: Send, reasons: list[str]) -> None:
    """Answer the server as ASGI's lifespan says. It logs the message and exits."""
    await receive()
    message = " ".join(["The service does not start, because its settings are not safe.", *reasons])
    await send({"type": "lifespan.startup.failed", "message": message})
