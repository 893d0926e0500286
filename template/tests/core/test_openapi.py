import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx import AsyncClient

from app.core.application import create_application
from app.core.settings import CoreSettings

PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
async def schema(client: AsyncClient) -> dict[str, Any]:
    schema: dict[str, Any] = (await client.get("/openapi.json")).json()
    return schema


async def test_the_documentation_has_the_services_name(schema: dict[str, Any]) -> None:
    assert schema["info"]["title"] == PYPROJECT["tool"]["service"]["title"]
    assert schema["info"]["version"] == PYPROJECT["project"]["version"]
    assert schema["info"]["description"] == PYPROJECT["project"]["description"]


async def test_every_endpoint_documents_its_errors(schema: dict[str, Any]) -> None:
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    errors = [
        response
        for operation in operations
        for status, response in operation["responses"].items()
        if status >= "400"
    ]

    assert len(errors) > len(operations)
    for response in errors:
        (content,) = response["content"].items()
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        assert content == ("application/problem+json", problem)


async def test_the_errors_of_an_endpoint_are_those_it_can_answer(schema: dict[str, Any]) -> None:
    create = schema["paths"]["/lab/shelves"]["post"]["responses"]
    count = schema["paths"]["/lab/shelves"]["get"]["responses"]

    assert set(create) == {"201", "400", "409", "413", "422", "500", "503"}
    assert set(count) == {"200", "500", "503"}


async def test_a_status_that_no_standard_has_is_documented(schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/lab/statuses/{status}"]["get"]["responses"]

    assert responses["420"]["description"] == "Client Error"


def test_a_class_of_statuses_is_documented() -> None:
    router = APIRouter()

    @router.get("/", responses={"4XX": {}, "default": {}})
    async def read() -> None: ...

    schema = create_application(router, CoreSettings()).openapi()
    responses = schema["paths"]["/"]["get"]["responses"]
    assert responses["4XX"] == responses["default"]
    assert responses["4XX"]["description"] == "Error"


async def test_only_one_format_of_errors_is_described(schema: dict[str, Any]) -> None:
    names = set(schema["components"]["schemas"])

    assert {"Problem", "InvalidField"} <= names
    assert not names & {"HTTPValidationError", "ValidationError"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == "$ref")
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from references(child)


async def test_every_reference_in_the_services_documentation_leads_somewhere(app: FastAPI) -> None:
    described = app.openapi()
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}

    assert set(references(described)) <= known


async def test_the_documentation_can_be_looked_at(client: AsyncClient) -> None:
    assert "swagger-ui" in (await client.get("/docs")).text


async def test_the_documentation_can_be_switched_off(client_with: Any) -> None:
    async with client_with(docs_enabled=False) as (client, _):
        answers = [await client.get(path) for path in ("/docs", "/redoc", "/openapi.json")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
