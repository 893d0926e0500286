"""What a client may send by mistake or in bad faith, and what every refusal looks like.

Each value that could come back holds "s3cret": no response may repeat it.
"""

import json
from typing import Any

import pytest
from httpx import AsyncClient, Response

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"

TEXTS = [
    pytest.param("s3cret\x00", id="NUL"),
    pytest.param("s3cret\ud800", id="surrogate"),
    pytest.param("s3cret" * 5_000, id="long"),
    pytest.param("", id="empty"),
    pytest.param(" \t\n", id="blank"),
    pytest.param(None, id="null"),
    pytest.param(True, id="boolean"),
    pytest.param(7, id="number"),
    pytest.param(float("nan"), id="NaN"),
    pytest.param(["s3cret"], id="list"),
    pytest.param({"s3cret": "s3cret"}, id="object"),
]
NUMBERS = [
    pytest.param(-1, id="negative"),
    pytest.param(2**63, id="2**63"),
    pytest.param(10**22, id="10**22"),
    pytest.param(1.5, id="fraction"),
    pytest.param(float("nan"), id="NaN"),
    pytest.param(float("inf"), id="infinity"),
    pytest.param(True, id="boolean"),
    pytest.param("7", id="text"),
    pytest.param(None, id="null"),
]
IDS = [
    pytest.param("s3cret", id="text"),
    pytest.param("s3cret\x00", id="NUL"),
    pytest.param("s3cret\ud800", id="surrogate"),
    pytest.param(2**31, id="number"),
    pytest.param(None, id="null"),
]
BODIES = [
    pytest.param(b"", id="empty"),
    pytest.param(b'{"s3cret"', id="broken"),
    pytest.param(b'"s3cret"', id="text"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[" * 100_000, id="deep list"),
    pytest.param(b'{"s3cret":' * 100_000, id="deep object"),
    pytest.param(b'{"s3cret": ' + b"1" * 5_000 + b"}", id="5000 digits"),
    pytest.param(b'{"s3cret": "\xff"}', id="bad UTF-8"),
    pytest.param(b'{"s3cret": "' + b"x" * 2_000_000 + b'"}', id="2 MB"),
]


async def send(client: AsyncClient, method: str, path: str, data: Any) -> Response:
    """Send JSON also of what httpx refuses to encode: surrogates and NaN."""
    return await send_bytes(client, method, path, json.dumps(data).encode())


async def send_bytes(client: AsyncClient, method: str, path: str, content: bytes) -> Response:
    headers = {"Content-Type": "application/json"}
    return await client.request(method, path, content=content, headers=headers)


def assert_problem(response: Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    assert "s3cret" not in response.text


def assert_invalid(response: Response, *fields: str) -> None:
    """The response is a 422 that names these fields, or parts of them, and no others."""
    assert_problem(response, 422)
    named = [error["field"] for error in response.json()["errors"]]
    assert named
    assert all(any(name.startswith(field) for field in fields) for name in named), named


def assert_documented(schema: dict[str, Any], method: str, path: str, *statuses: int) -> None:
    """The operation's documentation has these errors, in our format, and 500 and 503."""
    responses = schema["paths"][path][method.lower()]["responses"]
    errors = {int(status): each for status, each in responses.items() if status >= "400"}
    assert sorted(errors) == sorted({*statuses, 500, 503})
    for error in errors.values():
        reference = {"$ref": "#/components/schemas/Problem"}
        assert error["content"] == {"application/problem+json": {"schema": reference}}
