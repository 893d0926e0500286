from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.types import Message

from app.core.application import create_application
from app.core.hosts import HostPatterns
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import LabApp, ReadLog

HOSTS = ["api.example.com", "*.internal.example.com", "10.1.2.3", "2001:db8::1"]


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "API.Example.COM",
        "api.example.com:8000",
        "api.example.com:",
        "api.example.com.",
        "a.internal.example.com",
        "a.b.internal.example.com:443",
        "10.1.2.3:8000",
        "[2001:db8::1]",
        "[2001:DB8:0:0::1]:8000",
    ],
)
async def test_a_host_of_the_service_is_served(client_with: LabApp, host: str) -> None:
    async with client_with(environment="production", allowed_hosts=HOSTS) as (client, _):
        assert (await client.get("/lab/settings", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "internal.example.com",
        "xinternal.example.com",
        "api.example.com.evil.example",
        "evil.example/api.example.com",
        "evil@api.example.com",
        "api.example.com:80@evil.example",
        "api.example.com:x",
        "*.internal.example.com",
        ".internal.example.com",
        "api.example.com, evil.example",
        "[2001:db8::1",
        "[2001:db8::1]evil.example",
        "[2001:db8::2]",
        "[:::]",
        "10.1.2.4",
        "é.internal.example.com",
        "a b.internal.example.com",
    ],
)
async def test_another_host_is_refused_and_logged(
    client_with: LabApp, read_log: ReadLog, host: str
) -> None:
    async with client_with(environment="production", allowed_hosts=HOSTS) as (client, _):
        read_log()
        response = await client.get("/lab/settings", headers=[(b"Host", host.encode())])
        (line,) = [each for each in read_log() if each["event"] == "request"]

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "ALLOWED_HOSTS" in line["reason"]


async def test_of_several_hosts_all_must_be_the_services(client_with: LabApp) -> None:
    async with client_with(environment="production", allowed_hosts=HOSTS) as (client, _):
        first, other = ("Host", "api.example.com"), ("Host", "evil.example")
        for headers in ([first, other], [other, first]):
            assert (await client.get("/lab/settings", headers=headers)).status_code == 400


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_the_health_is_asked_by_any_address(client_with: LabApp, path: str) -> None:
    async with client_with(environment="production", allowed_hosts=HOSTS) as (client, _):
        response = await client.get(path, headers={"Host": "192.0.2.1:8000"})

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/healthy/live", "/lab/health/live"])
async def test_only_the_health_is_asked_by_any_address(client_with: LabApp, path: str) -> None:
    async with client_with(environment="production", allowed_hosts=HOSTS) as (client, _):
        response = await client.get(path, headers={"Host": "192.0.2.1:8000"})

    assert response.status_code == 400


async def test_the_health_is_asked_by_any_address_below_a_prefix() -> None:
    scope = {"path": "/api/health/live", "root_path": "/api"}

    assert await status_of(scope, host=b"192.0.2.1") == 200
    assert await status_of({**scope, "path": "/api/lab/settings"}, host=b"192.0.2.1") == 400


async def test_a_request_without_a_host_is_refused() -> None:
    scope = {"path": "/lab/settings", "headers": []}

    assert await status_of(scope, host=b"") == 400


async def status_of(scope: dict[str, Any], *, host: bytes) -> int:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    request = {"type": "http", "method": "GET", "query_string": b"", "headers": [(b"host", host)]}
    await production_app()({**request, **scope}, receive, send)
    status: int = sent[0]["status"]
    return status


def production_app(**changes: Any) -> FastAPI:
    settings = {"environment": "production", "allowed_hosts": HOSTS, **changes}
    return create_application(lab.router, CoreSettings(**settings))


async def test_a_web_socket_to_another_host_is_closed_before_it_is_open() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    headers = [(b"host", b"evil.example")]
    scope = {"type": "websocket", "path": "/lab/settings", "headers": headers}
    await production_app()(scope, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_in_development_any_host_is_served_unless_some_are_named(
    client_with: LabApp,
) -> None:
    async with client_with() as (client, _):
        assert (await client.get("/lab/settings", headers={"Host": "evil.example"})).is_success
    async with client_with(allowed_hosts=HOSTS) as (client, _):
        refused = await client.get("/lab/settings", headers={"Host": "evil.example"})
        assert refused.status_code == 400


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", []),
        ("a.example", ["a.example"]),
        ("A.example, *.B.example ,,", ["a.example", "*.b.example"]),
        ("a.example:8000", ["a.example"]),
        ("::1,[2001:DB8::0:1]", ["::1", "2001:db8::1"]),
        ("*", ["*"]),
    ],
)
def test_hosts_are_a_list_with_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: list[str]
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", text)

    assert list(CoreSettings().allowed_hosts) == expected


@pytest.mark.parametrize(
    "text", ["https://a.example", '["a.example"]', "a.*.example", "**", "*.", "a/b", "[::x]", "é"]
)
def test_what_no_host_can_match_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", text)

    with pytest.raises(ValidationError, match="allowed_hosts"):
        CoreSettings()


def test_a_long_host_is_compared_quickly() -> None:
    patterns = HostPatterns(HOSTS)

    assert not patterns.match("a." * 500_000)
    assert not patterns.match("[" + ":" * 1_000_000)
