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
from app.core.registry import fields_of
from app.core.responses import problem_type
from tests.core.conftest import LabApp, ReadLog
from tests.core.hostile import UNKNOWN_ID
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


async def test_a_status_that_no_standard_has_is_sent_as_it_is(client: AsyncClient) -> None:
    response = await client.get("/lab/statuses/420")

    assert response.status_code == 420
    assert response.json()["title"] == "Client Error"


@pytest.mark.parametrize("status", [304, 307])
async def test_what_is_no_error_is_no_problem_document(client: AsyncClient, status: int) -> None:
    response = await client.get(f"/lab/statuses/{status}")

    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["location"] == "/elsewhere"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/lab/shelves", "GET, POST"),
        ("HEAD", "/lab/shelves", "GET, POST"),
        ("OPTIONS", "/lab/shelves", "GET, POST"),
        ("PUT", "/lab/books/00000000-0000-7000-8000-000000000000", "DELETE"),
        ("PUT", "/lab/books/newest", "GET"),
        ("DELETE", "/lab/books/newest", "GET"),
    ],
)
async def test_a_405_names_all_methods_of_the_path(
    client: AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)

    assert (response.status_code, response.headers["allow"]) == (405, allowed)


async def test_a_path_that_no_other_endpoint_has_stays_a_422(client: AsyncClient) -> None:
    response = await client.delete("/lab/books/oldest")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["path.book_id"]


@pytest.mark.parametrize(
    "headers", [[("a", "x" * 65_536)], [("a", "")] * 2000], ids=["long", "many"]
)
async def test_headers_that_are_too_long_are_a_431(
    client: AsyncClient, headers: list[tuple[str, str]]
) -> None:
    response = await client.get("/health/live", headers=headers)

    assert response.status_code == 431
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_headers_may_be_as_long_as_the_setting_says(client_with: LabApp) -> None:
    async with client_with(max_header_bytes=2000) as (client, _):
        client.headers.clear()
        host = 32 + len("hosttest")
        fits, too_long = ("x" * (2000 - host - 33 + more) for more in (0, 1))
        answers = [await client.get("/health/live", headers={"a": a}) for a in (fits, too_long)]

    assert [answer.status_code for answer in answers] == [200, 431]


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
    assert [name for name in errors.MOVED if not hasattr(errors, name)] == []
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
        (json.dumps({"long_text": "x" * 20_001}), "body.long_text"),
        (json.dumps({"long_text": "🙂" * 16_384}), "body.long_text"),
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


@pytest.mark.parametrize("text", ["x" * 20_000, "🙂" * 16_383])
async def test_a_long_text_may_fill_its_column(client: AsyncClient, text: str) -> None:
    assert (await post(client, json.dumps({"long_text": text}))).status_code == 200


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
    assert response.json()["fields"] == ["name"]


async def test_a_failure_of_the_database_names_the_columns_and_no_values(
    client: AsyncClient, shelf: LabShelf
) -> None:
    book = {"shelf_id": str(shelf.id), "title": "hush"}
    await client.post("/lab/samples", json={"name": "hush"})
    unknown = {"shelf_id": UNKNOWN_ID}

    negative = await client.post("/lab/unchecked-books", json={**book, "price": -1})
    duplicate = await client.post("/lab/samples", json={"name": "hush"})
    reference = await client.post("/lab/unchecked-books", json={**book, **unknown})

    assert (negative.status_code, negative.json()["fields"]) == (422, ["price"])
    assert (duplicate.status_code, duplicate.json()["fields"]) == (409, ["name"])
    # Not every database says which reference it is.
    assert reference.json().get("fields", ["shelf_id"]) == ["shelf_id"]
    for response in (negative, duplicate, reference):
        assert "hush" not in response.text.lower()


@pytest.mark.parametrize(
    ("details", "fields"),
    [
        ({}, []),
        ({"column": "a"}, ["a"]),
        ({"column": "name, is_live"}, ["name"]),
        ({"constraint": "uq_lab_samples_name_is_live"}, ["name"]),
        ({"constraint": "fk_lab_books_shelf_id"}, ["shelf_id"]),
        ({"constraint": "ck_lab_books_price"}, ["price"]),
        ({"constraint": "ix_lab_books_shelf_id"}, ["shelf_id"]),
        ({"constraint": "nothing"}, []),
    ],
    ids=str,
)
def test_a_constraint_is_about_its_columns(details: dict[str, str], fields: list[str]) -> None:
    assert fields_of(details) == fields


@pytest.mark.parametrize(
    ("data", "status", "logged"),
    [
        ({"title": None}, 500, {"error": "MISSING_VALUE", "column": "title"}),
        ({"title": {"hush": "hush"}}, 500, {}),
        ({"price": -1}, 422, {"error": "RULE", "constraint": "ck_lab_books_price"}),
        ({"shelf_id": "00000000-0000-7000-8000-00000000beef"}, 409, {"error": "REFERENCE"}),
    ],
)
async def test_what_the_database_refuses_is_logged_once_without_values(
    client: AsyncClient,
    shelf: LabShelf,
    read_log: ReadLog,
    data: dict[str, Any],
    status: int,
    logged: dict[str, str],
) -> None:
    book = {"shelf_id": str(shelf.id), "title": "hush", "price": 987_654_321, **data}
    read_log()

    response = await client.post("/lab/unchecked-books", json=book)

    (line,) = read_log()
    assert (response.status_code, line["status"]) == (status, status)
    assert logged.items() <= line.items()
    assert ("exception" in line) == (status == 500)
    text = json.dumps(line)
    assert [value for value in ("hush", "987654321", "8000-00000000beef") if value in text] == []


async def test_a_duplicate_is_logged_without_its_values(
    client: AsyncClient, read_log: ReadLog
) -> None:
    await client.post("/lab/shelves", json={"name": "hush"})
    read_log()

    await client.post("/lab/shelves", json={"name": "hush"})

    (line,) = read_log()
    assert (line["status"], line["error"]) == (409, "DUPLICATE")
    assert line["code"]
    assert "hush" not in json.dumps(line)


async def test_a_503_leaves_its_reason_in_the_line_of_the_request(
    client_with: LabApp, read_log: ReadLog
) -> None:
    one_connection = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.1}
    async with client_with(**one_connection) as (client, database), database.read():
        read_log()
        await client.get("/lab/shelves")
        (line,) = read_log()

    assert (line["status"], line["level"]) == (503, "warning")
    assert line["reason"] == "All connections to the database are in use."
