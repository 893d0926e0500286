import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from app.core.database import Database
from tests import statements
from tests.statements import MeteredTransport, check_budgets


async def test_a_request_is_charged_with_what_it_sent_itself(
    lab_app: FastAPI, database: Database
) -> None:
    transport = MeteredTransport(lab_app)
    other = database.fetch(lambda session: session.execute(text("SELECT 1")))

    async with AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/lab/shelves", json={"name": "one"})
        await asyncio.gather(client.get("/lab/shelves"), other)

    assert transport.costs == {"POST /lab/shelves": (1, 3), "GET /lab/shelves": (1, 1)}


async def test_requests_that_fail_or_run_at_the_same_time_are_left_out(
    lab_app: FastAPI, database: Database
) -> None:
    transport = MeteredTransport(lab_app)

    async with AsyncClient(transport=transport, base_url="http://test") as client:
        await asyncio.gather(client.get("/lab/shelves"), client.get("/lab/shelves"))
        await client.post("/lab/refused", json={"name": "one"})

    assert transport.costs == {}


def test_a_route_that_exceeds_its_budget_fails_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "statements.txt"
    monkeypatch.setattr(statements, "FILE", file)
    check_budgets({"GET /users": (9, 9)})  # an older project has no file
    file.write_text("# statements  round trips  route\n 1  3  POST /users\n")

    check_budgets({"POST /users": (1, 3)})
    for cost, route, reason in (
        ((2, 3), "POST /users", "allows 1 and 3"),
        ((1, 4), "POST /users", "allows 1 and 3"),
        ((0, 0), "GET /users", "does not list it"),
    ):
        with pytest.raises(pytest.fail.Exception, match=f"^{route} took .* {reason}"):
            check_budgets({route: cost})
