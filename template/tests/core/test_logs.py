import io
import json
import logging
import sys
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.core.database import Database
from app.core.logs import JsonHandler, configure_logs, is_not_logged_here
from tests.core.conftest import LabApp, ReadLog


async def test_a_request_has_an_id(client: AsyncClient) -> None:
    first = await client.get("/health/live")
    second = await client.get("/health/live")

    assert len(first.headers["x-request-id"]) == 32
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_the_callers_id_is_kept(client: AsyncClient) -> None:
    response = await client.get("/health/live", headers={"X-Request-ID": "abc-123"})

    assert response.headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("hostile", ["", "a b", "x" * 65, "a\tb", "<script>", "é"])
async def test_an_id_that_could_do_harm_is_replaced(client: AsyncClient, hostile: str) -> None:
    headers = {"X-Request-ID": hostile.encode()}
    response = await client.get("/health/live", headers=headers)  # type: ignore[arg-type]

    assert len(response.headers["x-request-id"]) == 32


async def test_a_request_is_one_line_of_json_with_its_id(
    client: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(level="INFO", json=True)
    await client.get("/health/live", headers={"X-Request-ID": "abc-123"})

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "abc-123"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/health/live", 200)
    assert line["milliseconds"] > 0


async def test_an_error_is_logged_once_with_its_traceback_and_the_id(
    client: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(level="INFO", json=True)
    response = await client.post("/lab/broken", json={"name": "one"})

    errors = [
        json.loads(line) for line in capsys.readouterr().err.splitlines() if "exception" in line
    ]
    assert len(errors) == 1
    assert errors[0]["level"] == "error"
    assert errors[0]["request_id"] == response.json()["request_id"]
    assert "RuntimeError" in errors[0]["exception"]


async def test_a_caller_who_leaves_while_sending_is_a_499(
    lab_app: FastAPI, database: Database, read_log: ReadLog
) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/lab/echo",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async def receive_nothing(_: Message) -> None: ...

    read_log()
    with suppress(ClientDisconnect):
        await lab_app(scope, leave, receive_nothing)

    (line,) = read_log()
    assert (line["status"], line["level"]) == (499, "info")


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", json=True)
    logging.getLogger("a.library").warning("Beware of %s", "the dog", extra={"teeth": 42})

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["logger"], line["teeth"]) == ("Beware of the dog", "a.library", 42)


@pytest.mark.parametrize(
    ("json_wanted", "terminal", "is_json"),
    [(True, True, True), (False, False, False), (None, False, True), (None, True, False)],
)
def test_logs_are_for_people_on_a_terminal_only_unless_asked_for(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    json_wanted: bool | None,
    terminal: bool,
    is_json: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    configure_logs(level="INFO", json=json_wanted)
    logging.getLogger("a.library").warning("Beware")

    assert capsys.readouterr().err.startswith("{") == is_json


@pytest.mark.parametrize(
    ("variables", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"NO_COLOR": "", "FORCE_COLOR": ""}, True, True),
    ],
)
def test_text_is_colored_on_a_terminal_unless_the_environment_says_otherwise(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    terminal: bool,
    colored: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    configure_logs(level="INFO", json=False)
    logging.getLogger("a.library").warning("Beware")

    assert ("\x1b[" in capsys.readouterr().err) == colored


@pytest.mark.parametrize("path", ["/lab/shelves", "/lab/shelves/primary"])
async def test_a_statement_is_logged_once_and_in_the_format_of_the_log(
    client_with: LabApp, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    async with client_with(database_echo=True, log_json=True) as (client, _):
        await client.get("/health/ready")
        capsys.readouterr()
        await client.get(path)
        await client.post("/lab/shelves", json={"name": "one"})

    printed = capsys.readouterr()
    events = [json.loads(line)["event"] for line in printed.err.splitlines()]
    assert len([each for each in events if each.startswith("SELECT count")]) == 1
    assert len([each for each in events if each.startswith("INSERT INTO lab_shelves")]) == 1
    assert printed.out == ""


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\r", "\n", "\x7f", "\x9b2J", "\u202e"])
def test_a_path_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str], hostile: str
) -> None:
    configure_logs(level="INFO", json=False)
    logger = logging.getLogger("a.library")
    try:
        raise ValueError(f"<{hostile}>")
    except ValueError:
        logger.exception("one\ntwo", extra={"path": f"<{hostile}>"})

    logged = capsys.readouterr().err
    assert f"<{hostile.encode('unicode_escape').decode()}>" in logged
    assert f"<{hostile}>" not in logged.partition("Traceback")[0]
    assert hostile == "\n" or f"<{hostile}>" not in logged
    assert "one\ntwo" in logged


def test_tracebacks_do_not_show_the_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", json=True)
    password = "".join(["hu", "sh"])
    try:
        raise RuntimeError(len(password))
    except RuntimeError:
        logging.getLogger("a.library").exception("Failed")

    assert "hush" not in capsys.readouterr().err


def test_the_server_does_not_repeat_the_traceback() -> None:
    record = logging.LogRecord(
        "uvicorn.error", 40, "", 0, "Exception in ASGI application\n", None, sys.exc_info()
    )

    assert not is_not_logged_here(record)


@pytest.fixture
def json_handler(monkeypatch: pytest.MonkeyPatch) -> JsonHandler:
    """The service's own handler, as the only one: pytest has added others."""
    configure_logs(level="INFO", json=True)
    (handler,) = [each for each in logging.root.handlers if isinstance(each, JsonHandler)]
    monkeypatch.setattr(handler, "stream", io.StringIO())
    monkeypatch.setattr(logging.root, "handlers", [handler])
    return handler


def lines_of(handler: JsonHandler) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in handler.stream.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "request"]


async def test_the_line_is_the_same_with_and_without_a_log_record(
    client: AsyncClient, json_handler: JsonHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[logging.LogRecord] = []
    other = logging.Handler()
    monkeypatch.setattr(other, "emit", seen.append)

    for path in ("/health/live", "/lab/statuses/503", "/nowhere", "/é"):
        await client.get(path, headers={"X-Request-ID": "abc-123"})
        logging.root.addHandler(other)
        await client.get(path, headers={"X-Request-ID": "abc-123"})
        logging.root.removeHandler(other)

        direct, through_logging = lines_of(json_handler)[-2:]
        varying = {"timestamp", "milliseconds"}
        assert direct.keys() == through_logging.keys()
        assert all(direct[name] == through_logging[name] for name in direct.keys() - varying)
        assert all(type(direct[name]) is type(through_logging[name]) for name in varying)
        assert len(direct["timestamp"]) == len(through_logging["timestamp"])

    records = [each for each in seen if each.name == "app.requests"]
    assert len(records) == 4


async def test_a_bug_is_logged_with_its_traceback_by_the_only_handler(
    client: AsyncClient, json_handler: JsonHandler
) -> None:
    await client.post("/lab/broken", json={"name": "hush"})

    (line,) = lines_of(json_handler)
    assert (line["status"], line["level"]) == (500, "error")
    assert "RuntimeError" in line["exception"]


async def test_a_level_that_is_too_high_hides_requests(
    client: AsyncClient, json_handler: JsonHandler
) -> None:
    logging.root.setLevel("WARNING")
    try:
        await client.get("/health/live")
        await client.get("/lab/statuses/503")
    finally:
        logging.root.setLevel("INFO")

    assert [line["status"] for line in lines_of(json_handler)] == [503]


async def test_a_log_that_cannot_be_written_fails_no_response(
    client: AsyncClient, json_handler: JsonHandler
) -> None:
    json_handler.stream.close()

    assert (await client.get("/health/live")).status_code == 200
