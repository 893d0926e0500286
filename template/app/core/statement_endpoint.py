"""With DATABASE_ECHO, a service shows its latest statements to `app db analyze --url`."""

import json
from collections import deque
from itertools import count
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.statement_log import Kept, current

PATH = "/_statements"
MOST_STATEMENTS = 2000


class StatementLog:
    """Middleware: the statements of a request are those that are sent in its context."""

    def __init__(self, app: ASGIApp, kept: deque[Kept]) -> None:
        self.app = app
        self.kept = kept
        self.numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        token = current.set((self.kept, next(self.numbers), scope["method"], path))
        try:
            await self.app(scope, receive, send)
        finally:
            current.reset(token)


def show_statements(app: FastAPI) -> None:
    """Serve the latest statements at `/_statements`, as lines that `app db analyze` reads.

    With them come the routes of the requests, not their paths, which may contain secrets.
    """
    kept: deque[Kept] = deque(maxlen=MOST_STATEMENTS)

    async def read_statements(_: Request) -> Response:
        found = {each[:3]: find_route(app, each.method, each.path) for each in kept}
        lines = [recorded_line(found[each[:3]] or "", str(each.number), *each[3:]) for each in kept]
        first = json.dumps({"service": app.title}) + "\n"
        return Response("".join([first, *lines]), media_type="application/x-ndjson")

    app.add_route(PATH, read_statements, include_in_schema=False)
    app.add_middleware(StatementLog, kept=kept)


def recorded_line(route: str, request: str, sql: str, values: str) -> str:
    """Return a line of a recording. `values` is the `repr` of the parameters."""
    recorded = {"route": route, "request": request, "statement": sql, "parameters": values}
    return json.dumps(recorded) + "\n"


def find_route(app: Any, method: str, path: str) -> str | None:
    """Return the route that the router of the application takes: the first one that matches."""
    for route in iter_route_contexts(app.routes):
        if method in (route.methods or ()) and route.path_regex.match(path):
            return f"{method} {route.path}"
    return None
