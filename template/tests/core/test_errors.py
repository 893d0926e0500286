import json
import subprocess
import sys
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver, errors, responses, schemas
from app.core.errors import ConflictError
from app.core.failures import Failure
from app.core.responses import problem_type
from tests.core.lab import LabBook, LabShelf, TooManyShelvesError

JSON = {"content-type": "application/json"}


async def post(client: AsyncClient, body: str) -> Any:
    return await client.post("/lab/echo", content=body.encode(), headers=JSON)


async def test_an_error_is_a_problem_document(client: AsyncClient) -> None:
    response = await client.post("/lab/refused", json={"name": "one"})

    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:problem:shelves-full",
        "title": "Conflict",
        "status": 409,
        "detail": "There are too many shelves.",
        "request_id": response.headers["x-request-id"],
    }


async def test_a_bug_tells_the_caller_nothing_but_the_request_id(client: AsyncClient) -> None:
    response = await client.post("/lab/broken", json={"name": "hush"})

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "hush" not in response.text


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/lab/echo", 405)])
async def test_errors_of_the_framework_are_problem_documents_too(
    client: AsyncClient, path: str, status: int
) -> None:
    response = await client.get(path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_an_error_of_the_service_has_a_type_of_its_own() -> None:
    assert problem_type(TooManyShelvesError("")) == "urn:problem:shelves-full"
    assert problem_type(ConflictError("")) == "about:blank"


def test_a_type_that_is_not_given_comes_from_the_name() -> None:
    class OutOfStockError(ConflictError):
        pass

    assert problem_type(OutOfStockError("")) == "urn:problem:out-of-stock"


def test_models_and_errors_are_imported_without_fastapi() -> None:
    program = (
        "import sys, app.core.errors, app.core.models, app.core.soft_delete\n"
        "sys.exit(any(name in sys.modules for name in ('fastapi', 'starlette')))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_moved_is_still_imported_from_its_old_place() -> None:
    assert errors.problems is responses.problems
    assert errors.name_fields is schemas.name_fields
    assert {name for name in errors.__all__ if not hasattr(errors, name)} == set()
    assert not hasattr(errors, "unknown")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"text": "hush\\u0000"}', "body.text"),
        ('{"text": "hush\\ud800"}', "body.text"),
        ('{"text": NaN}', "body.text"),
        ('{"name": ""}', "body.name"),
        ('{"name": "  "}', "body.name"),
        ('{"name": null}', "body.name"),
        (json.dumps({"name": "hush" * 51}), "body.name"),
        ('{"email": "hush"}', "body.email"),
        ('{"email": "hush@"}', "body.email"),
        ('{"email": "hush@ex ample.com"}', "body.email"),
        ('{"cents": -1}', "body.cents"),
        ('{"cents": 1.5}', "body.cents"),
        ('{"cents": "1"}', "body.cents"),
        ('{"cents": 1e30}', "body.cents"),
        ('{"cents": 99999999999999999999999}', "body.cents"),
        ('{"cents": true}', "body.cents"),
        ('{"instant": "0001-01-01T00:00:00+01:00"}', "body.instant"),
        ('{"instant": "9999-12-31T23:59:59-01:00"}', "body.instant"),
        ('{"instant": "2026-01-01T00:00:00"}', "body.instant"),
        ('{"hush": 1}', "body.hush"),
        ('{"\\ud800": 1}', "body"),
    ],
)
async def test_a_bad_value_is_named_and_not_repeated(
    client: AsyncClient, body: str, field: str
) -> None:
    response = await post(client, body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert "hush" not in response.text.replace("body.hush", "")


@pytest.mark.parametrize(
    "body", ["{", '{"cents": ' + "1" * 5000 + "}", "[" * 100_000, '{"name": "\udcff"}']
)
async def test_a_broken_document_is_the_callers_fault(client: AsyncClient, body: str) -> None:
    content = body.encode("utf-8", "surrogateescape")
    response = await client.post("/lab/echo", content=content, headers=JSON)

    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_long_is_a_413(client: AsyncClient, declared: bool) -> None:
    async def parts() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    body = {"content": b" " * 2_000_000} if declared else {"content": parts()}
    response = await client.post("/lab/echo", headers=JSON, **body)

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


async def test_valid_values_come_out_as_they_went_in(client: AsyncClient) -> None:
    data = {"text": "é 漢 🙂", "name": "  Ada ", "email": "ADA@Example.com", "cents": 10**12}

    answer = (
        await post(client, json.dumps({**data, "instant": "2026-01-01T00:00:00+02:00"}))
    ).json()

    assert answer["text"] == "é 漢 🙂"
    assert answer["name"] == "Ada"
    assert answer["email"] == "ada@example.com"
    assert answer["cents"] == 10**12
    assert answer["instant"] == "2025-12-31T22:00:00Z"


async def failure(session: AsyncSession, statement: Any) -> Failure | None:
    try:
        await session.execute(statement)
    except DBAPIError as error:
        await session.rollback()
        return driver.failure_of(error)
    return None


async def test_the_database_says_what_it_refused(session: AsyncSession, shelf: LabShelf) -> None:
    book = {"shelf_id": shelf.id, "title": "Book"}

    same_name = insert(LabShelf).values(name=shelf.name)
    unknown_shelf = insert(LabBook).values(**{**book, "shelf_id": LabShelf(name="gone").id})
    no_title = insert(LabBook).values(**{**book, "title": None})
    below_zero = insert(LabBook).values(**book, price=-1)

    assert await failure(session, same_name) is Failure.DUPLICATE
    assert await failure(session, unknown_shelf) is Failure.REFERENCE
    assert await failure(session, text("DELETE FROM lab_shelves")) is Failure.REFERENCE
    assert await failure(session, no_title) is Failure.MISSING_VALUE
    assert await failure(session, below_zero) is Failure.RULE
    assert await failure(session, text("SELECT nothing FROM lab_shelves")) is None


async def test_a_failure_of_the_database_has_a_status(client: AsyncClient) -> None:
    await client.post("/lab/shelves", json={"name": "one"})

    response = await client.post("/lab/shelves", json={"name": "one"})

    assert response.status_code == 409
    assert response.json()["detail"] == Failure.DUPLICATE.detail
