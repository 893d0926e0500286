import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text

from app.core.database import Database
from tests import statements
from tests.statements import MeteredTransport, check_budgets


async def test_a_request_is_charged_with_what_it_sent_alone(
    lab_app: FastAPI, database: Database
) -> None:
    transport = MeteredTransport(lab_app)
    other = database.fetch(lambda session: session.execute(text("SELECT 1")))

    async with AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/lab/shelves", json={"name": "one"})
        await asyncio.gather(client.get("/lab/shelves"), other)
        await asyncio.gather(client.get("/lab/shelves"), client.get("/lab/shelves"))
        await client.post("/lab/refused", json={"name": "two"})

    assert transport.lines == ["1 3 POST /lab/shelves", "1 1 GET /lab/shelves"]


def test_a_route_that_exceeds_its_budget_fails_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "statements.txt"
    monkeypatch.setattr(statements, "FILE", file)
    monkeypatch.delenv(statements.RECORD, raising=False)
    check_budgets(["9 9 GET /users"])  # an older project has no file
    file.write_text("# statements  round trips  route\n 1  3  POST /users\n")

    check_budgets(["1 1 POST /users", "1 3 POST /users"])
    for line, reason in (
        ("2 3 POST /users", "POST /users took 2 statements and 3 .* allows 1 and 3"),
        ("1 4 POST /users", "POST /users took 1 statements and 4 .* allows 1 and 3"),
        ("0 0 GET /users", "GET /users .* does not list it"),
    ):
        with pytest.raises(pytest.fail.Exception, match=reason):
            check_budgets([line])
