from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
from starlette.types import Receive, Scope, Send

from app.core.application import create_application
from app.core.database import Database
from app.core.settings import CoreSettings
from tests.core.conftest import LabApp, connect

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def security_headers(response: Any) -> dict[str, str]:
    """Those of the response. One that is there twice shows both values."""
    return {name: response.headers.get(name) for name in EXPECTED}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/docs", 200),
        ("GET", "/lab/statuses/503", 503),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health/live", 405),
        ("POST", "/lab/shelves", 422),
        ("POST", "/lab/broken", 500),
    ],
)
async def test_every_response_has_the_security_headers(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    json = {"name": "one"} if status == 500 else {}
    response = await client.request(method, path, json=json)

    assert response.status_code == status
    assert security_headers(response) == EXPECTED


async def test_a_request_that_is_refused_early_has_the_security_headers(
    client_with: LabApp,
) -> None:
    async with client_with(allowed_hosts=["api.example.com"]) as (client, _):
        other_host = await client.get("/lab/settings")
        too_long = await client.get("/lab/settings", headers={"X-Long": "x" * 70_000})

    assert (other_host.status_code, too_long.status_code) == (400, 431)
    assert security_headers(other_host) == security_headers(too_long) == EXPECTED


class Broken:
    """A middleware of the service's own that has a bug."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/broken":
            raise RuntimeError("a bug")
        await self.app(scope, receive, send)


@pytest.fixture
async def own(database: Database) -> AsyncIterator[AsyncClient]:
    """A service with responses and middleware of its own."""
    router = APIRouter()

    @router.get("/cached")
    async def read_cached(response: Response) -> int:
        response.headers["Cache-Control"] = "max-age=60"
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return 1

    @router.get("/stream")
    async def read_stream() -> StreamingResponse:
        return StreamingResponse(iter(["one", "two"]))

    app: FastAPI = create_application(router, CoreSettings())
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.com"])
    app.add_middleware(Broken)
    async with app.router.lifespan_context(app), connect(app) as client:
        yield client


async def test_an_endpoint_may_set_a_header_itself(own: AsyncClient) -> None:
    own_headers = {"cache-control": "max-age=60", "content-security-policy": "default-src 'self'"}

    assert security_headers(await own.get("/cached")) == EXPECTED | own_headers


async def test_a_stream_has_the_security_headers(own: AsyncClient) -> None:
    response = await own.get("/stream")

    assert response.text == "onetwo"
    assert security_headers(response) == EXPECTED


async def test_what_middleware_answers_has_the_security_headers(own: AsyncClient) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    preflight = await own.options("/cached", headers=asked)
    bug = await own.get("/broken")

    assert (preflight.status_code, bug.status_code) == (200, 500)
    assert security_headers(preflight) == security_headers(bug) == EXPECTED


async def test_the_pages_of_the_documentation_may_load_their_scripts(
    client: AsyncClient,
) -> None:
    """The policy forbids others to frame them, and nothing else."""
    response = await client.get("/docs")

    assert "<script" in response.text
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"
