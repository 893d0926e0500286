"""What a request may hold besides its body, which FastAPI limits."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.responses import respond

HEADER_OVERHEAD = 32  # bytes, as HTTP/2 counts them: very many short headers are too long, too


class HeaderLimit:
    """Refuses headers of more than `max_bytes` in all: Uvicorn accepts any."""

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
