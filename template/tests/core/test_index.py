from fastapi import APIRouter
from httpx import AsyncClient
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from app.core.application import create_application
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import LabApp, connect


async def test_the_root_names_the_service_and_where_to_go_on(client: AsyncClient) -> None:
    app = create_application(lab.router, CoreSettings())

    response = await client.get("/")

    assert response.status_code == 200
    assert response.json() == {
        "name": app.title,
        "version": app.version,
        "documentation": "/docs",
        "health": "/health/ready",
    }
    for name in ("documentation", "health"):
        assert (await client.get(response.json()[name])).status_code == 200


async def test_the_root_tells_no_version_without_the_documentation(client_with: LabApp) -> None:
    async with client_with(docs_enabled=False) as (client, _):
        response = await client.get("/")

    assert response.json().keys() == {"name", "health"}


async def test_the_links_of_the_root_are_below_the_path_of_a_proxy() -> None:
    app = create_application(lab.router, CoreSettings())
    app.root_path = "/api"

    async with connect(app) as client:
        response = await client.get("/api/")

    assert response.json()["documentation"] == "/api/docs"
    assert response.json()["health"] == "/api/health/ready"


async def test_a_root_of_the_services_own_comes_first() -> None:
    router = APIRouter()

    @router.get("/")
    async def read_root() -> str:
        return "own"

    async with connect(create_application(router, CoreSettings())) as client:
        assert (await client.get("/")).json() == "own"


async def test_a_root_that_is_added_later_comes_first_too() -> None:
    app = create_application(APIRouter(), CoreSettings())
    app.router.routes.append(Mount("/", PlainTextResponse("own")))

    async with connect(app) as client:
        assert (await client.get("/")).text == "own"


async def test_only_the_root_is_found_and_only_read(client: AsyncClient) -> None:
    answers = [await client.get("/nowhere"), await client.post("/")]

    assert [answer.status_code for answer in answers] == [404, 404]
