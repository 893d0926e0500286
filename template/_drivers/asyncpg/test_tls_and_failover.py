"""On a server of its own: connections by TLS, and errors that end when the server is healed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from app.core import driver
from app.core.engine import create_engine
from app.core.failures import Failure
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import LabApp
from tests.core.server import ServerNotFoundError, running_server

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
TLS_REQUEST = bytes.fromhex("0000000804d2162f")


@pytest.fixture(scope="module")
def server() -> Iterator[URL]:
    """It refuses connections without TLS. The URL names its certificate, for `localhost`."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running_server(tls=True))
        except ServerNotFoundError as error:
            pytest.skip(f"NOT RUN: {error}")
        yield url.set(database="postgres")


async def execute(url: URL, *statements: str) -> list[Any]:
    """Return the rows of the last statement."""
    checked = driver.check_url(url)
    engine = create_engine(checked, CoreSettings(), "migrate", isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements[:-1]:
                await connection.execute(text(statement))
            result = await connection.execute(text(statements[-1]))
            return [*result.all()] if result.returns_rows else []
    finally:
        await engine.dispose()


async def create_app(server: URL) -> URL:
    """The database `app`, with tables."""
    await execute(server, "CREATE DATABASE app OWNER app")
    url = server.set(username="app", password="secret", database="app")
    engine = create_engine(url, CoreSettings(), "migrate")
    async with engine.begin() as connection:
        await connection.run_sync(lab.METADATA.create_all)
    await engine.dispose()
    return url


@pytest.fixture
async def url(server: URL) -> AsyncIterator[URL]:
    """The database `app`, and the account `app` that owns it."""
    await execute(server, "CREATE ROLE app LOGIN PASSWORD 'secret'")
    yield await create_app(server)
    await execute(server, "DROP DATABASE app WITH (FORCE)", "DROP ROLE app")


def with_options(server: URL, host: str, options: str) -> URL:
    ca = server.query["sslrootcert"]
    files = {"ca": ca, "key": str(ca)[:-3] + "key"}
    return server.set(host=host, query={}).update_query_string(options.format(**files))


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("localhost", "sslmode=verify-full&sslrootcert={ca}"),
        ("localhost", "ssl=verify-full&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=require&channel_binding=prefer&connect_timeout=10"),
    ],
)
async def test_a_url_asks_for_an_encrypted_connection(server: URL, host: str, options: str) -> None:
    assert await execute(with_options(server, host, options), ENCRYPTED) == [(True,)]


async def test_the_authorities_that_the_system_trusts_verify_the_server(
    server: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_system = with_options(server, "localhost", "sslmode=verify-full&sslrootcert=system")
    with pytest.raises(DBAPIError, match="self-signed certificate"):
        await execute(by_system, ENCRYPTED)

    monkeypatch.setenv("SSL_CERT_FILE", str(server.query["sslrootcert"]))
    assert await execute(by_system, ENCRYPTED) == [(True,)]
    with pytest.raises(DBAPIError, match=r"not valid for '127\.0\.0\.1'"):
        await execute(by_system.set(host="127.0.0.1"), ENCRYPTED)


async def test_a_url_names_the_certificate_of_the_service(server: URL) -> None:
    certified = server.set(username="certified")
    await execute(server, "CREATE ROLE certified LOGIN")
    with pytest.raises(DBAPIError, match="requires a valid client certificate"):
        await execute(certified, ENCRYPTED)

    options = "sslmode=verify-full&sslrootcert={ca}&sslcert={ca}&sslkey={key}"
    assert await execute(with_options(certified, "localhost", options), ENCRYPTED) == [(True,)]


@pytest.mark.parametrize(
    ("host", "options", "reason"),
    [
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca}", "certificate is not valid for"),
        ("localhost", "sslmode=disable", "no encryption"),
    ],
)
async def test_a_connection_that_is_not_as_secure_as_asked_is_refused(
    server: URL, host: str, options: str, reason: str
) -> None:
    with pytest.raises(DBAPIError, match=reason) as error:
        await execute(with_options(server, host, options), ENCRYPTED)

    assert driver.failure_of(error.value) is Failure.UNAVAILABLE


@pytest.mark.parametrize(
    "options", ["sslmode=require", "sslmode=verify-full&sslrootcert={ca}", "ssl=require"]
)
async def test_nothing_is_sent_in_the_clear_if_the_server_offers_no_tls(
    server: URL, options: str
) -> None:
    sent: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.read(len(TLS_REQUEST)))
        writer.write(b"N")
        sent.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as without_tls:
        port = without_tls.sockets[0].getsockname()[1]
        with pytest.raises(DBAPIError, match="rejected SSL upgrade"):
            await execute(with_options(server, "127.0.0.1", options).set(port=port), ENCRYPTED)
        await asyncio.sleep(0.05)

    assert sent == [TLS_REQUEST, b""]


@pytest.mark.parametrize("path", ["/lab/shelves", "/lab/samples"])
async def test_a_server_that_became_read_only_is_left_for_one_that_can_write(
    server: URL, url: URL, client_with: LabApp, path: str
) -> None:
    """With a record, and without."""
    settings = {"database_url": SecretStr(url.render_as_string(hide_password=False))}
    await execute(server, "ALTER DATABASE app SET default_transaction_read_only = on")
    async with client_with(**settings) as (client, _):
        refused = await client.post(path, json={"name": "one"})
        bug = await client.post("/lab/read-only", json={"name": "one"})
        await execute(server, "ALTER DATABASE app RESET default_transaction_read_only")
        written = await client.post(path, json={"name": "one"})

    assert (refused.status_code, bug.status_code, written.status_code) == (503, 500, 201)


async def test_a_database_that_was_missing_is_used_when_it_is_back(
    server: URL, url: URL, client_with: LabApp
) -> None:
    settings = {"database_url": SecretStr(url.render_as_string(hide_password=False))}
    async with client_with(**settings) as (client, _):
        await execute(server, "DROP DATABASE app WITH (FORCE)")
        missing = await client.get("/lab/shelves")
        not_ready = await client.get("/health/ready")
        await create_app(server)
        back = await client.get("/lab/shelves")

    assert (missing.status_code, not_ready.status_code, back.status_code) == (503, 503, 200)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ALTER ROLE app PASSWORD 'other'", "ALTER ROLE app PASSWORD 'secret'"),
        ("ALTER ROLE app NOLOGIN", "ALTER ROLE app LOGIN"),
        ("ALTER ROLE app RENAME TO other", "ALTER ROLE other RENAME TO app"),
    ],
)
async def test_an_account_that_may_not_connect_is_used_when_it_may(
    server: URL, url: URL, client_with: LabApp, wrong: str, right: str
) -> None:
    settings = {"database_url": SecretStr(url.render_as_string(hide_password=False))}
    await execute(server, wrong)
    async with client_with(**settings) as (client, _):
        refused = await client.get("/lab/shelves")
        await execute(server, right)
        accepted = await client.get("/lab/shelves")

    assert (refused.status_code, accepted.status_code) == (503, 200)
