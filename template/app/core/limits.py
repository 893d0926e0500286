"""The limit for request headers. FastAPI itself limits the body."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.responses import respond

HEADER_OVERHEAD = 32  # bytes per header, as in HTTP/2, so that many short headers are limited too


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
