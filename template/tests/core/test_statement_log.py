import asyncio
import json
import socket
from collections import deque
from typing import Any

import pytest
from httpx import AsyncClient
from typer.testing import CliRunner

from app.core import statement_endpoint
from app.core.application import create_application
from app.core.command_line.analyzing.recordings import Statement, read_recording
from app.core.commands import command_line
from app.core.settings import CoreSettings
from app.core.statement_endpoint import PATH
from app.core.statement_log import LONGEST_STATEMENT, LONGEST_VALUES, Kept, current, note
from tests.core import lab
from tests.core.conftest import LabApp, LabServer, connect

BY_NAME = "GET /lab/samples"


async def kept_by(client: AsyncClient) -> list[Statement]:
    """The statements that concern tables of the lab."""
    shown = await client.get(PATH)
    statements = read_recording(shown.text.splitlines(), lambda: None)
    return [each for each in statements if "lab_" in each.sql]


async def test_statements_are_kept_by_request_with_their_values(client_with: LabApp) -> None:
    """Through SQLAlchemy and past it."""
    async with client_with(database_echo=True) as (client, _):
        await client.post("/lab/shelves", json={"name": "one"})
        for _ in range(2):
            await client.get("/lab/samples", params={"name": "a"})
        created, *searches = await kept_by(client)

    assert created.route == "POST /lab/shelves"
    assert "one" in (created.parameters or ())
    assert [each.route for each in searches] == [BY_NAME, BY_NAME]
    assert searches[0].parameters == searches[1].parameters
    assert "a" in (searches[0].parameters or ())
    assert searches[0].request != searches[1].request


async def test_the_path_of_a_proxy_is_no_part_of_the_route(client_with: LabApp) -> None:
    async with client_with(database_echo=True) as (client, _):
        client._transport.root_path = "/api"  # type: ignore[attr-defined]
        await client.get("/api/lab/samples", params={"name": "a"})
        (kept,) = await kept_by(client)

    assert kept.route == BY_NAME


async def test_only_the_latest_statements_are_kept(
    client_with: LabApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_endpoint, "MOST_STATEMENTS", 3)
    async with client_with(database_echo=True) as (client, _):
        await client.post("/lab/shelves", json={"name": "one"})
        for _ in range(5):
            await client.get("/lab/samples", params={"name": "a"})
        kept = await kept_by(client)

    assert [each.route for each in kept] == [BY_NAME] * 3


def test_long_values_and_statements_are_not_kept() -> None:
    kept: deque[Kept] = deque()
    token = current.set((kept, 1, "GET", "/"))
    note("SELECT 1", ("a" * LONGEST_VALUES,))
    note("SELECT ".ljust(LONGEST_STATEMENT + 1, "1"), ())
    current.reset(token)

    assert kept == deque([Kept(1, "GET", "/", "SELECT 1", "…")])


def test_what_no_request_sends_is_not_kept() -> None:
    assert current.get() is None
    note("SELECT 1", ())


async def test_credentials_in_values_are_not_shown(client_with: LabApp) -> None:
    """As in the log."""
    async with client_with(database_echo=True) as (client, _):
        await client.get("/lab/samples", params={"name": "Bearer abc"})
        shown = await client.get(PATH)

    assert BY_NAME in shown.text
    assert "Bearer [redacted]" in shown.text
    assert "abc" not in shown.text


@pytest.mark.parametrize(
    "changes",
    [
        {"database_echo": False},
        {"database_echo": True, "environment": "production", "allowed_hosts": ["test"]},
    ],
)
async def test_nothing_is_shown_without_echo_or_outside_development(
    changes: dict[str, Any],
) -> None:
    app = create_application(lab.router, CoreSettings(**changes))

    async with connect(app) as client:
        assert (await client.get(PATH)).status_code == 404


async def test_the_statements_are_no_part_of_the_documented_interface() -> None:
    app = create_application(lab.router, CoreSettings(database_echo=True))

    assert PATH not in app.openapi()["paths"]


async def analyze(*arguments: str) -> Any:
    """In a thread: the command has an event loop of its own."""
    words = ["db", "analyze", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, command_line, words)


async def test_a_running_service_is_asked_for_its_statements(server_with: LabServer) -> None:
    async with server_with(database_echo=True) as (port, _):
        url = f"http://127.0.0.1:{port}"
        async with AsyncClient(base_url=url) as client:
            await client.get("/lab/samples", params={"name": "hidden"})
            headers = {"Idempotency-Key": "1"}
            await client.post("/lab/once/long", json={"name": "one"}, headers=headers)
        result = await analyze("--url", f"{url}/", "--repeated", "3", "--json")

    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert [each["route"] for each in found["routes"]] == ["POST /lab/once/long", BY_NAME]
    (repeated,) = [each for each in found["findings"] if each["problem"] == "repeated statement"]
    assert (repeated["count"], repeated["routes"]) == (3, ["POST /lab/once/long"])
    assert "hidden" not in result.stdout


async def test_a_service_that_has_sent_nothing_is_one_sentence(server_with: LabServer) -> None:
    async with server_with(database_echo=True) as (port, _):
        result = await analyze("--url", f"http://127.0.0.1:{port}")

    assert result.exit_code == 1
    assert result.stderr.endswith(
        " has sent no statements since its start: send requests to it first.\n"
    )


async def test_a_service_that_shows_no_statements_is_one_sentence(server_with: LabServer) -> None:
    async with server_with() as (port, _):
        result = await analyze("--url", f"http://127.0.0.1:{port}")

    assert result.exit_code == 1
    assert result.stderr == (
        f"http://127.0.0.1:{port} does not show its statements: HTTP 404. Start it with"
        " DATABASE_ECHO=true where ENVIRONMENT is development.\n"
    )


@pytest.mark.parametrize("answer", ["{}", '{"service": "Another"}\n'])
async def test_another_service_is_one_sentence(answer: str) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n{answer}".encode())
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await analyze("--url", f"http://127.0.0.1:{port}")

    assert result.exit_code == 1
    assert " is another service than this one, which is " in result.stderr


async def test_a_service_that_is_not_there_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = await analyze("--url", f"http://127.0.0.1:{port}")
    no_url = await analyze("--url", "localhost:8000")

    assert refused.exit_code == 1
    assert refused.stderr == (
        f"http://127.0.0.1:{port} cannot be asked: [Errno 111] Connection refused."
        " Is the service running?\n"
    )
    assert no_url.exit_code == 2
    assert "begins with http:// or https://" in no_url.stderr
