import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI, Request
from httpx import AsyncClient, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.core import answers, idempotency
from app.core.application import create_application
from app.core.commands import command_line
from app.core.database import Database
from app.core.idempotency import caller_of
from app.core.models import utc_now
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import LabApp, connect
from tests.core.hostile import assert_documented, assert_problem
from tests.core.lab import LabIdempotencyKey, LabShelf

PATHS = ["/lab/once/shelves", "/lab/once/run"]


async def post(
    client: AsyncClient, path: str, name: str, key: str = "key", **headers: str
) -> Response:
    return await client.post(path, json={"name": name}, headers={"Idempotency-Key": key, **headers})


async def count_shelves(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(LabShelf))


@pytest.mark.parametrize("path", PATHS)
async def test_a_repeated_request_is_executed_once_and_gets_the_same_answer(
    client: AsyncClient, session: AsyncSession, path: str
) -> None:
    first = await post(client, path, "ü")
    second = await post(client, path, "ü")

    assert first.status_code == second.status_code == (201 if path == PATHS[0] else 200)
    assert first.content == second.content
    assert first.json()["name"] == "ü"
    assert first.headers["Content-Type"] == second.headers["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert list(await session.scalars(select(LabShelf.name))) == ["ü"]


async def test_the_answer_is_the_same_with_a_key_and_without(client: AsyncClient) -> None:
    without = await client.post("/lab/once/shelves", json={"name": "one"})
    with_key = await post(client, "/lab/once/shelves", "two")

    assert with_key.status_code == without.status_code
    assert with_key.headers["Content-Type"] == without.headers["Content-Type"]
    assert with_key.json().keys() == without.json().keys()


@pytest.mark.parametrize("change", ["body", "query"])
async def test_the_key_of_another_request_is_refused(
    client: AsyncClient, session: AsyncSession, change: str
) -> None:
    await post(client, "/lab/once/shelves", "one")

    path = "/lab/once/shelves" + ("?a=1" if change == "query" else "")
    refused = await post(client, path, "two" if change == "body" else "one")

    assert_problem(refused, 422)
    assert refused.json()["type"] == "urn:problem:idempotency-key-reused"
    assert await count_shelves(session) == 1


async def test_each_caller_and_each_route_has_keys_of_its_own(
    client: AsyncClient, session: AsyncSession
) -> None:
    responses = [
        await post(client, "/lab/once/shelves", "one"),
        await post(client, "/lab/once/run", "two"),
        await post(client, "/lab/once/shelves", "three", Authorization="Bearer a"),
        await post(client, "/lab/once/shelves", "four", Authorization="Bearer b"),
        await post(client, "/lab/once/shelves", "five", key="another"),
    ]

    assert [response.status_code for response in responses] == [201, 200, 201, 201, 201]
    assert await count_shelves(session) == 5


def test_the_caller_is_whom_the_service_has_authenticated() -> None:
    request = Request({"type": "http", "headers": [(b"authorization", b"Bearer new")]})
    assert caller_of(request) == "Bearer new"
    request.state.caller = 7
    assert caller_of(request) == "7"


async def test_a_request_that_failed_can_be_repeated_with_its_key(
    client: AsyncClient, session: AsyncSession
) -> None:
    await client.post("/lab/once/shelves", json={"name": "taken"})

    refused = await post(client, "/lab/once/shelves", "taken")
    invalid = await post(client, "/lab/once/shelves", "")
    other = await post(client, "/lab/once/shelves", "free")

    assert_problem(refused, 409)
    assert_problem(invalid, 422)
    assert other.status_code == 201
    assert await count_shelves(session) == 2


async def test_an_answer_is_stored_only_if_its_effect_is(
    client: AsyncClient, session: AsyncSession
) -> None:
    await client.post("/lab/once/shelves", json={"name": "taken"})

    failed_to_commit = await post(client, "/lab/once/silent", "taken")
    again = await post(client, "/lab/once/silent", "free")

    assert_problem(failed_to_commit, 409)
    assert again.status_code == 204
    assert await count_shelves(session) == 2


@pytest.mark.parametrize("path", PATHS)
async def test_requests_with_one_key_at_once_are_executed_once(
    client: AsyncClient, session: AsyncSession, path: str
) -> None:
    responses = await asyncio.gather(*(post(client, path, "one") for _ in range(6)))

    done = [response for response in responses if response.is_success]
    assert {response.status_code for response in responses} - {409, 503} == {done[0].status_code}
    assert {response.content for response in done} == {done[0].content}
    assert await count_shelves(session) == 1
    assert (await post(client, path, "one")).content == done[0].content


async def test_a_key_in_use_is_refused_when_the_wait_has_been_too_long(
    client_with: LabApp, session: AsyncSession
) -> None:
    async with client_with(database_lock_timeout_seconds=0.3) as (client, database):
        assert (await post(client, "/lab/once/shelves", "one")).is_success
        async with database.transaction() as other:
            record = (await other.scalars(select(LabIdempotencyKey))).one()
            record.status = 200
            await other.flush()
            waited = await post(client, "/lab/once/shelves", "one")

        assert_problem(waited, 409, 503)
        if waited.status_code == 409:
            assert waited.json()["type"] == "urn:problem:idempotency-key-in-use"
        assert (await post(client, "/lab/once/shelves", "one")).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "ü"])
async def test_a_key_is_visible_ascii_of_limited_length(client: AsyncClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    refused = await client.post("/lab/once/shelves", json={"name": "one"}, headers=headers)

    assert_problem(refused, 422)
    assert [error["field"] for error in refused.json()["errors"]] == ["header.Idempotency-Key"]


async def test_an_answer_without_a_body_is_repeated(
    client: AsyncClient, session: AsyncSession
) -> None:
    responses = [await post(client, "/lab/once/silent", "one") for _ in range(2)]

    assert [(each.status_code, each.content) for each in responses] == 2 * [(204, b"")]
    assert await count_shelves(session) == 1


async def test_an_answer_that_is_too_long_to_be_stored_is_not_repeated(
    client: AsyncClient, session: AsyncSession
) -> None:
    first = await post(client, "/lab/once/long", "one")
    second = await post(client, "/lab/once/long", "one")

    assert (first.status_code, first.json()) == (200, 70_000 * "x")
    assert_problem(second, 409)
    assert second.json()["type"] == "urn:problem:answer-not-stored"
    assert await count_shelves(session) == 3


async def test_a_service_without_the_table_refuses_keys(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_application(lab.router, CoreSettings())
    app.state.database = database
    monkeypatch.setattr(idempotency, "find_model", lambda: None)

    async with connect(app) as client:
        assert_problem(await post(client, "/lab/once/shelves", "one"), 422)
        assert (await client.post("/lab/once/shelves", json={"name": "one"})).status_code == 201


async def test_old_answers_are_purged(
    client: AsyncClient, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(client, "/lab/once/shelves", "old", key="old")
    record = (await session.scalars(select(LabIdempotencyKey))).one()
    record.created_at = utc_now() - timedelta(hours=1)
    await session.commit()
    await post(client, "/lab/once/shelves", "new", key="new")

    monkeypatch.setattr(answers, "find_model", lambda: LabIdempotencyKey)
    arguments = ["purge-answers", "--hours", "1"]
    for deleted in (1, 0):
        ran = await asyncio.to_thread(CliRunner().invoke, command_line, arguments)
        assert ran.stdout == f"Deleted {deleted} answers.\n"

    assert (await post(client, "/lab/once/shelves", "other", key="old")).status_code == 201
    repeated = await post(client, "/lab/once/shelves", "new", key="new")
    assert repeated.headers["Idempotent-Replayed"] == "true"


def test_the_header_is_documented(lab_app: FastAPI) -> None:
    schema = lab_app.openapi()

    assert_documented(schema, "POST", "/lab/once/run", 400, 409, 413, 422)
    (parameter,) = schema["paths"]["/lab/once/run"]["post"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == (
        "Idempotency-Key",
        "header",
        False,
    )
