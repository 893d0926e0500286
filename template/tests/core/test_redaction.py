import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
import structlog
from httpx import AsyncClient
from starlette.datastructures import Headers
from structlog.contextvars import bound_contextvars

from app.core.logs import JsonHandler, configure_logs
from app.core.redaction import escape_texts, redact_fields, redact_text
from tests.core.conftest import ReadLog


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "PGPASSWORD",
        "user_password",
        "passwordHash",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "cookies",
        "Set-Cookie",
        "client_secret",
        "secrets",
        "token",
        "accessToken",
        "APIToken",
        "refresh_token_2",
        "api_key",
        "apiKey",
        "APIKey",
        "X-Api-Key",
        "apikey",
        b"cookie",
        "x" * 2**20 + "_password",
    ],
    ids=lambda name: str(name)[-20:],
)
def test_a_field_with_the_name_of_a_secret_is_redacted(name: str | bytes) -> None:
    for value in ("hush", 12345, ["hush"], {"a": "hush"}, b"hush"):
        assert redact_fields({name: value}) == {name: "[redacted]"}


@pytest.mark.parametrize(
    "name", ["tokenizer", "secretary", "monkey", "key", "api", "user", "passwordless", ""]
)
def test_a_field_with_another_name_is_kept(name: str) -> None:
    assert redact_fields({name: "value"}) == {name: "value"}


def test_that_there_is_no_secret_or_that_there_is_one_is_logged() -> None:
    fields = {"password": None, "has_token": True}

    assert redact_fields(fields) == fields


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [{"password": "hush"}]}},
        {"headers": {"Authorization": "hush"}},
        {"headers": Headers({"cookie": "session=hush"})},
        {"headers": [(b"cookie", b"session=hush"), (b"accept", b"*/*")]},
        {"headers": [["authorization", "hush"]]},
        {"headers": ({"x-api-key": "hush"},)},
        {"error": ValueError("Bearer hush")},
        {"bytes": b"Authorization: Bearer hush"},
        {"set": {"Bearer hush"}},
    ],
    ids=str,
)
def test_a_nested_secret_is_redacted(value: dict[str, Any]) -> None:
    redacted = json.dumps(redact_fields(value))

    assert "hush" not in redacted
    assert "[redacted]" in redacted


def test_values_without_secrets_are_kept() -> None:
    fields = {"a": {"b": [1, 2.5, None, True, "text", {"c": "d"}]}, "pair": ["a", "b"]}

    assert redact_fields(fields) == fields


def test_a_value_that_holds_itself_is_cut() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]

    assert "nested too deeply" in json.dumps(redact_fields(endless))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scheme://ada:hush@db/app", "scheme://ada:[redacted]@db/app"),
        ("scheme+driver://ada:hush@db:3306", "scheme+driver://ada:[redacted]@db:3306"),
        ("redis://:hush@db", "redis://:[redacted]@db"),
        ("x://ada:hu/sh?#:@db", "x://ada:[redacted]@db"),
        ("x://ada:h@u@hush@db", "x://ada:[redacted]@db"),
        ("x://ada:hu sh@db", "x://ada:[redacted]@db"),
        ("x://ada:1234@db", "x://ada:[redacted]@db"),
        ("x://a:hush@b y://c:hush@d", "x://a:[redacted]@b y://c:[redacted]@d"),
        ("Cannot reach 'x://a:hush@b'.\nMail c@d", "Cannot reach 'x://a:[redacted]@b'.\nMail c@d"),
        ("http://localhost:8000/users?email=ada@b", "http://localhost:8000/users?email=ada@b"),
        ("http://localhost:8000 is for ada@b", "http://localhost:8000 is for ada@b"),
        ("https://ada@db/app", "https://ada@db/app"),
        ("ada@example.com: see https://b", "ada@example.com: see https://b"),
        ("Authorization: Bearer a.b-c_d~e+f/g==", "Authorization: Bearer [redacted]"),
        ("bearer\thush, BASIC YTpi", "bearer [redacted], BASIC [redacted]"),
        ("(b'authorization', b'Bearer hush')", "(b'authorization', b'Bearer [redacted]')"),
        ("the bearer", "the bearer"),
        ("", ""),
    ],
)
def test_credentials_in_a_text_are_redacted(text: str, expected: str) -> None:
    assert redact_text(text) == expected
    assert redact_text(expected) == expected


LONG_TEXTS = """
from app.core.redaction import is_secret, redact_text

for part in (
    *("a", "@", " ", "aB", "://", "://a:", "://a:b@", "://a:1", "a@b\\n"),
    *("bearer ", "basic\\t", "Bearer x "),
):
    text = part * (2**20 // len(part))
    redact_text(text + "@")
    assert not is_secret(text)
"""


def test_a_long_text_takes_no_longer_for_its_content() -> None:
    """All of these take a second. With a quadratic pattern, each would take hours."""
    subprocess.run([sys.executable, "-c", LONG_TEXTS], check=True, timeout=60)


@pytest.mark.parametrize("as_json", [True, False])
def test_every_line_is_redacted(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    configure_logs(level="INFO", json=as_json)
    logger = logging.getLogger("a.library")
    try:
        raise ValueError("x://ada:hush@db")
    except ValueError:
        logger.exception("Failed at %s", "x://ada:hush@db", extra={"api_key": "hush"})
    with bound_contextvars(token="hush"):
        structlog.get_logger("ours").warning("Bearer hush", headers={"cookie": "hush"})

    logged = capsys.readouterr().err
    assert "hush" not in logged
    assert logged.count("[redacted]") >= 6


async def test_the_line_of_a_request_is_redacted(
    client: AsyncClient, read_log: ReadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is written without a log record."""
    read_log()
    (handler,) = [each for each in logging.root.handlers if isinstance(each, JsonHandler)]
    monkeypatch.setattr(handler, "stream", io.StringIO())
    for handlers in (logging.root.handlers, [handler]):
        monkeypatch.setattr(logging.root, "handlers", handlers)
        with bound_contextvars(session_token="hush"):
            await client.get("/nowhere/x://ada:hush@db", headers={"X-Request-ID": "abc"})
    lines = [json.loads(line) for line in handler.stream.getvalue().splitlines()]
    first, second = [line for line in lines if line["event"] == "request"]

    for line in (first, second):
        assert line["path"] == "/nowhere/x://ada:[redacted]@db"
        assert line["session_token"] == "[redacted]"
        assert line["request_id"] == "abc"


def test_a_surrogate_in_a_path_can_be_written_to_the_terminal() -> None:
    assert escape_texts(None, "", {"path": "\ud800"}) == {"path": "\\ud800"}
