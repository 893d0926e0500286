"""Assemble the application. `app/main.py` passes in the service's routers and settings."""

import asyncio
import gc
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Lifespan, Receive, Scope, Send

from app.core import health, responses
from app.core.database import Database
from app.core.documentation import serve_documentation
from app.core.headers import send_securely
from app.core.index import Index
from app.core.limits import HeaderLimit, HostLimit
from app.core.logs import RequestLog, configure_logs
from app.core.openapi import document_problems
from app.core.routing import RouteTable, flatten
from app.core.safety import refuse_to_start, unsafe_settings
from app.core.settings import CoreSettings
from app.core.shutdown import delayed_shutdown
from app.core.statement_endpoint import show_statements

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
NOT_IN_ITS_FOLDER = (
    "The service runs in its folder only, beside pyproject.toml and migrations/: start it there, or"
    " install it from there by `uv sync` or `pip install --editable .`."
)


class Service(FastAPI):
    """FastAPI with one error format, in responses and in the API's documentation."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document_problems(super().openapi())
        return super().openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and (reasons := unsafe_settings(self)):
            configure_logs(level=self.state.settings.log_level, json=self.state.settings.log_json)
            await refuse_to_start(receive, send, reasons)
            return
        if scope["type"] == "http":
            send = send_securely(send)  # here, for the responses of the service's own middleware
            if b"content-length" in dict(scope["headers"]):
                # FastAPI refuses a body that is declared too long in plain text. Without the
                # declaration, the body is counted as it arrives and refused in our error format.
                headers = [each for each in scope["headers"] if each[0] != b"content-length"]
                scope = {**scope, "headers": headers}
        await super().__call__(scope, receive, send)


def create_application(
    router: APIRouter, settings: CoreSettings, *, lifespan: Lifespan[FastAPI] | None = None
) -> FastAPI:
    """Build the application. It does not connect to anything before startup.

    `lifespan` is the service's own code at startup and shutdown, as for Starlette. The database,
    `app.state.database`, is open before it starts and until it has ended.
    """

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[Any]:
        configure_logs(level=settings.log_level, json=settings.log_json)
        database = Database(settings)
        app.state.database = database
        app.state.readiness = health.Readiness(
            database.health_engine,
            replica=database.replica_health_engine,
            timeout=settings.ready_timeout_seconds,
        )
        report = asyncio.create_task(app.state.readiness.report())
        delay = settings.shutdown_delay_seconds
        try:
            async with lifespan(app) if lifespan else nullcontext() as state:
                tune_garbage_collection()
                with delayed_shutdown(app.state.readiness, seconds=delay):
                    yield state
        finally:
            report.cancel()
            await app.state.readiness.close()
            await database.dispose()

    project = tomllib.loads(find_pyproject().read_text(encoding="utf-8"))
    app = Service(
        title=project["tool"]["service"]["title"],
        version=project["project"]["version"],
        description=project["project"]["description"],
        lifespan=run,
        redirect_slashes=False,  # the redirect would go to the host that the caller names
        docs_url=None,  # see `serve_documentation`
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs_enabled else None,
    )
    app.state.settings = settings
    # Not an argument of FastAPI, which would count each body three times: in the application, in
    # its router and in the route. `GET /health/live` takes 7 % less time.
    app.router.max_body_size = settings.max_body_bytes
    if settings.database_echo and not settings.is_public:
        show_statements(app)
    app.include_router(health.router)
    app.include_router(router)
    if settings.docs_enabled:
        serve_documentation(app)
    flatten(app)
    app.router.default = Index(app, app.router.default)
    app.router.middleware_stack = RouteTable(app.router)
    if settings.allowed_hosts or settings.is_public:
        app.add_middleware(HostLimit, hosts=settings.allowed_hosts)
    app.add_middleware(HeaderLimit, max_bytes=settings.max_header_bytes)
    # Starlette has one outside of all middleware, where a 500 gets no headers from it, as CORS's.
    app.add_middleware(ServerErrorMiddleware, handler=responses.respond_to_bug)
    app.add_middleware(RequestLog)
    responses.handle_errors(app)
    return app


def find_pyproject() -> Path:
    """Return the path of `pyproject.toml`, or exit with a sentence if only `app` was installed."""
    if not PYPROJECT.exists():
        raise SystemExit(NOT_IN_ITS_FOLDER)
    return PYPROJECT


def tune_garbage_collection() -> None:
    """Exclude long-lived objects from garbage collection, and collect less often.

    With the default settings, collections took a quarter of the time of an average request, and
    most of the time of the slowest requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
