"""What is refused before any endpoint sees it. FastAPI itself limits the body."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from app.core.hosts import HostPatterns
from app.core.logs import add_to_request_log
from app.core.responses import respond

HEADER_OVERHEAD = 32  # bytes per header, as in HTTP/2, so that many short headers are limited too
SHOWN_CHARACTERS = 100


class HeaderLimit:
    """Refuse headers of more than `max_bytes` in total. Uvicorn has no limit."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            headers = scope["headers"]
            size = sum(HEADER_OVERHEAD + len(name) + len(value) for name, value in headers)
            if size > self.max_bytes:
                app = respond(Request(scope), 431, "The headers are too long.")
        await app(scope, receive, send)


class HostLimit:
    """Refuse requests to other hosts, except for `/health/`, which is called by IP address."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str]) -> None:
        self.app = app
        self.patterns = HostPatterns(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] != "lifespan" and not self.accepts(scope):
            app = WebSocketClose() if scope["type"] == "websocket" else refuse_host(scope)
        await app(scope, receive, send)

    def accepts(self, scope: Scope) -> bool:
        hosts = hosts_of(scope)
        if hosts and all(map(self.patterns.match, hosts)):
            return True
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", "")).startswith("/health/")


def hosts_of(scope: Scope) -> list[str]:
    """Return the values of all `Host` headers. A proxy may have looked at another one of them."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]


def refuse_host(scope: Scope) -> ASGIApp:
    request = Request(scope)
    hosts = ", ".join(hosts_of(scope))[:SHOWN_CHARACTERS]
    add_to_request_log(request, reason=f"The host {hosts!r} is not in ALLOWED_HOSTS.")
    return respond(request, 400, "The service is not available under this host name.")
