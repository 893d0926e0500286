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

CIPHER = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"


@pytest.fixture(scope="module")
def server() -> Iterator[URL]:
    """It refuses connections without TLS. The URL names its certificate, for `localhost`."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running_server(tls=True))
        except ServerNotFoundError as error:
            pytest.skip(f"NOT RUN: {error}")
        yield url.set(database="mysql")


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
    await execute(server, "CREATE DATABASE app CHARACTER SET utf8mb4")
    url = server.set(username="app", password="secret", database="app")
    engine = create_engine(url, CoreSettings(), "migrate")
    async with engine.begin() as connection:
        await connection.run_sync(lab.METADATA.create_all)
    await engine.dispose()
    return url


@pytest.fixture
async def url(server: URL) -> AsyncIterator[URL]:
    """The database `app`, and the account `app`, which has all rights in it and no others."""
    await execute(server, "CREATE USER app IDENTIFIED BY 'secret'", "GRANT ALL ON app.* TO app")
    yield await create_app(server)
    await execute(server, "DROP DATABASE app", "DROP USER app")


def with_options(server: URL, host: str, options: str) -> URL:
    files = {"ca": server.query["ssl_ca"], "key": str(server.query["ssl_ca"])[:-3] + "key"}
    return server.set(host=host, query={}).update_query_string(options.format(**files))


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("localhost", "ssl_ca={ca}"),
        ("localhost", "ssl=true&ssl_ca={ca}"),
        ("localhost", "ssl-ca={ca}&ssl-mode=VERIFY_IDENTITY"),
        ("localhost", "ssl_ca={ca}&ssl_verify_cert=true&ssl_verify_identity=true"),
        ("127.0.0.1", "ssl_ca={ca}&sslmode=verify_ca"),
        ("127.0.0.1", "ssl_mode=REQUIRED"),
    ],
)
async def test_a_url_asks_for_an_encrypted_connection(server: URL, host: str, options: str) -> None:
    found = await execute(with_options(server, host, options), CIPHER)

    assert found[0][1]


async def test_a_url_names_the_certificate_of_the_service(server: URL, url: URL) -> None:
    await execute(server, "ALTER USER app REQUIRE X509")
    with pytest.raises(DBAPIError, match="Access denied"):
        await execute(url, CIPHER)

    options = "ssl_ca={ca}&ssl_cert={ca}&ssl_key={key}"
    assert await execute(with_options(url, "localhost", options), CIPHER)


@pytest.mark.parametrize(
    ("host", "options", "reason"),
    [
        ("127.0.0.1", "ssl_ca={ca}", "certificate is not valid for '127.0.0.1'"),
        ("localhost", "ssl=true", "self-signed certificate"),
        ("localhost", "ssl_mode=VERIFY_CA", "self-signed certificate"),
        ("localhost", "", "(1045|3159), "),
    ],
)
async def test_a_connection_that_is_not_as_secure_as_asked_is_refused(
    server: URL, host: str, options: str, reason: str
) -> None:
    with pytest.raises(DBAPIError, match=reason) as error:
        await execute(with_options(server, host, options), CIPHER)

    assert driver.failure_of(error.value) is Failure.UNAVAILABLE


@pytest.mark.parametrize("mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
async def test_nothing_is_sent_in_the_clear_if_the_server_offers_no_tls(
    server: URL, mode: str
) -> None:
    """Nor if somebody between the two has removed the offer."""
    sent: list[bytes] = []

    async def remove_offer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", server.port)
        greeting = bytearray(await from_server.read(1000))
        capabilities = greeting.index(0, 5) + 1 + 4 + 8 + 1  # after the version, an id, a nonce
        greeting[capabilities + 1] &= ~(ssl_flag >> 8)
        writer.write(greeting)
        sent.append(await reader.read())
        writer.close()
        to_server.close()

    ssl_flag = 2048
    async with await asyncio.start_server(remove_offer, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        with pytest.raises(DBAPIError, match="does not offer TLS"):
            await execute(server.set(port=port).update_query_dict({"ssl_mode": mode}), CIPHER)
        await asyncio.sleep(0.05)

    assert sent == [b""]


@pytest.mark.parametrize("path", ["/lab/shelves", "/lab/samples"])
async def test_a_server_that_became_read_only_is_left_for_one_that_can_write(
    server: URL, url: URL, client_with: LabApp, path: str
) -> None:
    """With a record, and without."""
    settings = {"database_url": SecretStr(url.render_as_string(hide_password=False))}
    async with client_with(**settings) as (client, database):
        async with database.transaction() as session:
            before = await session.scalar(text("SELECT CONNECTION_ID()"))
        await execute(server, "SET GLOBAL read_only = 1")
        try:
            refused = await client.post(path, json={"name": "one"})
            bug = await client.post("/lab/read-only", json={"name": "one"})
        finally:
            await execute(server, "SET GLOBAL read_only = 0")
        written = await client.post(path, json={"name": "one"})
        async with database.transaction() as session:
            after = await session.scalar(text("SELECT CONNECTION_ID()"))

    assert (refused.status_code, bug.status_code, written.status_code) == (503, 500, 201)
    assert after != before


async def test_a_database_that_was_missing_is_used_when_it_is_back(
    server: URL, url: URL, client_with: LabApp
) -> None:
    settings = {"database_url": SecretStr(url.render_as_string(hide_password=False))}
    await execute(server, "DROP DATABASE app")
    async with client_with(**settings) as (client, _):
        missing = await client.get("/lab/shelves")
        not_ready = await client.get("/health/ready")
        await create_app(server)
        back = await client.get("/lab/shelves")

    assert (missing.status_code, not_ready.status_code, back.status_code) == (503, 503, 200)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ALTER USER app IDENTIFIED BY 'other'", "ALTER USER app IDENTIFIED BY 'secret'"),
        ("RENAME USER app TO other", "RENAME USER other TO app"),
        ("REVOKE ALL ON app.* FROM app", "GRANT ALL ON app.* TO app"),
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
