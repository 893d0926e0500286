"""What `/` answers in a service that has no endpoint there: its name, and where to go on."""

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Index:
    """What the router calls if no route matches, so that any route for `/` comes before it."""

    def __init__(self, app: FastAPI, not_found: ASGIApp) -> None:
        self.app = app
        self.not_found = not_found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "").rstrip("/")
        is_index = scope["path"].removeprefix(root) in {"", "/"}
        if is_index and scope["type"] == "http" and scope["method"] == "GET":
            await JSONResponse(self.describe(root))(scope, receive, send)
        else:
            await self.not_found(scope, receive, send)

    def describe(self, root: str) -> dict[str, str]:
        """Return the name, the version as far as the documentation is public, and the links."""
        described = {"name": self.app.title}
        if self.app.openapi_url:
            described |= {"version": self.app.version, "documentation": f"{root}/docs"}
        return {**described, "health": f"{root}/health/ready"}
