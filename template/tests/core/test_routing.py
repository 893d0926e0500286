"""The routes of the application are found, and documented, as plain FastAPI does both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import Message

from app.core import health
from app.core.application import create_application
from app.core.openapi import document_problems
from app.core.routing import RouteTable
from app.core.settings import CoreSettings
from tests.core import lab


async def require_key(key: Annotated[str, Header()] = "") -> None:
    if key != "right":
        raise HTTPException(401)


def make_router() -> APIRouter:
    """Routers within routers, each with something of its own."""
    inner = APIRouter(prefix="/inner", tags=["inner"], dependencies=[Depends(require_key)])

    @inner.get("/{number}", name="inner-number")
    async def read_number(number: int) -> int:
        return number

    @inner.get("", deprecated=True)
    async def read_inner() -> str:
        return "inner"

    middle = APIRouter(prefix="/middle", tags=["middle"], responses={418: {"description": "Tea"}})
    middle.include_router(inner, prefix="/v1")

    @middle.api_route("/both", methods=["GET", "POST"], include_in_schema=False)
    async def read_both() -> str:
        return "both"

    router = APIRouter()
    router.include_router(middle, prefix="/outer", tags=["outer"])

    @router.get("/{anything}/last")
    async def read_anything(anything: str) -> str:
        return anything

    @router.get("/outer/files/{path:path}", name="file")
    async def read_file(path: str, request: Request) -> str:
        return str(request.url_for("inner-number", number=5))

    @router.get("/hidden", include_in_schema=False)
    async def read_hidden() -> str:
        return "hidden"

    @router.head("/outer/headed")
    async def read_head() -> PlainTextResponse:
        return PlainTextResponse("", headers={"X-Headed": "yes"})

    return router


def make_other_router() -> APIRouter:
    """What a table of endpoints alone cannot have."""
    router = APIRouter(prefix="/other")

    @router.websocket("/socket")
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    @router.get("/endpoint")
    async def read_endpoint() -> str:
        return "endpoint"

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    mounted = Starlette(routes=[Route("/{name}", answer)])
    router.routes.append(Mount("/other/mounted", mounted))
    router.routes.append(Route("/other/plain", answer))
    return router


def plain_application(*routers: APIRouter) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    app.include_router(health.router)
    for router in routers:
        app.include_router(router)
    return app


@pytest.fixture(scope="module")
def settings() -> CoreSettings:
    return CoreSettings()


@asynccontextmanager
async def connect(app: FastAPI, **options: Any) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False, **options)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("router", [lab.router, make_router(), make_other_router()])
def test_the_documentation_is_that_of_nested_routers(
    router: APIRouter, settings: CoreSettings
) -> None:
    ours = create_application(router, settings).openapi()
    theirs = plain_application(router).openapi()
    document_problems(theirs)

    assert ours["paths"] == theirs["paths"]
    assert list(ours["paths"]) == list(theirs["paths"])
    assert ours["components"] == theirs["components"]


def test_the_documentation_of_the_service_is_that_of_nested_routers(
    settings: CoreSettings,
) -> None:
    from app.api import router  # noqa: PLC0415 - after the settings were made

    theirs = plain_application(router).openapi()
    document_problems(theirs)

    assert create_application(router, settings).openapi()["paths"] == theirs["paths"]


REQUESTS = [
    ("GET", "/outer/middle/v1/inner/5"),
    ("GET", "/outer/middle/v1/inner/x"),
    ("GET", "/outer/middle/v1/inner"),
    ("GET", "/outer/middle/v1/inner/"),
    ("POST", "/outer/middle/v1/inner/5"),
    ("GET", "/outer/middle/both"),
    ("POST", "/outer/middle/both"),
    ("PUT", "/outer/middle/both"),
    ("HEAD", "/outer/middle/both"),
    ("OPTIONS", "/outer/middle/both"),
    ("HEAD", "/outer/headed"),
    ("GET", "/outer/headed"),
    ("GET", "/outer/last"),
    ("GET", "/elsewhere/last"),
    ("GET", "/hidden/last"),
    ("POST", "/hidden/last"),
    ("GET", "/hidden"),
    ("GET", "/hidden/"),
    ("GET", "/hiddenx"),
    ("GET", "//hidden"),
    ("GET", "/%68idden"),
    ("GET", "/outer/files/a/b%2Fc"),
    ("GET", "/outer/files/"),
    ("GET", "/outer"),
    ("GET", "/"),
    ("GET", "/nowhere"),
    ("GET", "/other/plain"),
    ("GET", "/other/endpoint"),
    ("GET", "/other/mounted/x"),
    ("GET", "/other/mounted/x/y"),
    ("POST", "/other/endpoint"),
    ("GET", "/health/live"),
]


@pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
async def test_requests_are_answered_as_by_nested_routers(
    settings: CoreSettings, root_path: str
) -> None:
    whole = APIRouter()
    whole.include_router(make_other_router())
    for routers in ([make_router(), make_other_router()], [whole, make_router()]):
        outside = APIRouter()
        for router in routers:
            outside.include_router(router)
        ours, theirs = create_application(outside, settings), plain_application(*routers)
        theirs.router.default = ours.router.default  # answers `/`
        async with (
            connect(ours, root_path=root_path) as our,
            connect(theirs, root_path=root_path) as their,
        ):
            for method, path in REQUESTS:
                for headers in ({}, {"key": "right"}):
                    answer = await our.request(method, root_path + path, headers=headers)
                    wanted = await their.request(method, root_path + path, headers=headers)
                    assert answer.status_code == wanted.status_code, (method, path)
                    assert answer.headers.get("x-headed") == wanted.headers.get("x-headed")
                    if wanted.is_success:
                        assert answer.content == wanted.content, (method, path)


async def test_the_url_of_an_endpoint_of_another_router_is_known(settings: CoreSettings) -> None:
    async with connect(create_application(make_router(), settings)) as client:
        answer = await client.get("/outer/files/x")

    assert answer.json() == "http://test/outer/middle/v1/inner/5"


async def test_a_socket_in_a_nested_router_is_found(settings: CoreSettings) -> None:
    outside = APIRouter(prefix="/outside")
    outside.include_router(make_other_router())
    app = create_application(outside, settings)
    scope = {"type": "websocket", "path": "/outside/other/socket", "query_string": b""}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "headers": [], "subprotocols": []}, receive, send)

    assert [message["type"] for message in sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert sent[1]["text"] == "hello"


async def test_a_fixed_path_is_found_only_before_one_with_a_parameter(
    settings: CoreSettings,
) -> None:
    async def read_item(item_id: UUID) -> str:
        return str(item_id)

    async def export_items() -> str:
        return "all"

    router = APIRouter()
    router.add_api_route("/before/export", export_items)
    router.add_api_route("/before/{item_id}", read_item)
    router.add_api_route("/after/{item_id}", read_item)
    router.add_api_route("/after/export", export_items)
    async with connect(create_application(router, settings)) as client:
        assert (await client.get("/before/export")).json() == "all"
        assert (await client.get("/after/export")).status_code == 422


async def test_routes_that_are_added_later_are_found(settings: CoreSettings) -> None:
    app = create_application(make_router(), settings)
    async with connect(app) as client:
        assert (await client.get("/late")).status_code == 404

        @app.get("/late")
        async def read_late() -> str:
            return "late"

        later = APIRouter(prefix="/hidden")

        @later.get("/later")
        async def read_later() -> str:
            return "later"

        app.include_router(later)

        assert (await client.get("/late")).json() == "late"
        assert (await client.get("/hidden/later")).json() == "later"
        assert (await client.get("/hidden")).json() == "hidden"

        app.router.routes = [
            route for route in app.router.routes if getattr(route, "path", "") != "/late"
        ]
        assert (await client.get("/late")).status_code == 404


def test_the_service_has_only_endpoints_in_its_table() -> None:
    from app.main import app  # noqa: PLC0415 - after the settings were made

    assert isinstance(app.router.middleware_stack, RouteTable)
    assert [route for route in app.routes if hasattr(route, "original_router")] == []


def test_the_private_names_by_which_routers_are_flattened_are_there() -> None:
    """If one is gone or has moved, look at `is_plain` in `app/core/routing.py`."""
    app = FastAPI()
    router = make_router()
    app.include_router(router)
    included: Any = app.routes[-1]

    assert app.router._low_priority_routes == router._low_priority_routes == []
    assert included.original_router is router
    assert included.include_context.form_limits is None or not included.include_context.form_limits
