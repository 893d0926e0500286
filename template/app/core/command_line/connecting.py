"""Connect to the databases of the settings, and ask each what it is."""

import time
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core import driver
from app.core.command_line.reasons import explain, public_address
from app.core.command_line.server_facts import FACTS
from app.core.database import Database
from app.core.engine import Purpose, create_engine, most_connections
from app.core.health import VERSIONS, read_revision, read_revisions
from app.core.settings import CoreSettings, parse_url

ROUND_TRIPS = 20
UNUSABLE: tuple[type[Exception], ...] = (DBAPIError, OSError, *driver.ERRORS)


@dataclass
class Report:
    """What is known about one of the connections. `problem` says why there is none."""

    purpose: str
    address: str
    facts: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    is_newest: bool = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def ping(settings: CoreSettings) -> list[Report]:
    """Connect as the service does, to its replica, and as the role for migrations, if set."""
    targets: list[tuple[str, URL, Purpose]] = [("service", settings.primary_url, "write")]
    if settings.database_replica_url is not None:
        targets.append(("replica", settings.replica_url, "read"))
    if settings.database_migration_url is not None:
        targets.append(("migrations", parse_url(settings.database_migration_url), "migrate"))
    return [await ping_one(settings, *target) for target in targets]


async def ping_one(settings: CoreSettings, name: str, url: URL, purpose: Purpose) -> Report:
    report = Report(name, public_address(url))
    engine = create_engine(url, settings, purpose)
    try:
        report.facts = await read_facts(engine)
        report.facts["revision"], report.is_newest = await describe_revision(engine)
    except UNUSABLE as error:
        report.problem = explain(error, settings, url)
    finally:
        await engine.dispose()
    if purpose == "write":
        report.facts["requests"] = describe_deadlines(settings)
        report.facts["pools"] = await describe_pools(settings)
    return report


async def read_facts(engine: AsyncEngine) -> dict[str, str]:
    facts: dict[str, str] = {}
    async with engine.connect() as connection:
        for name, queries in FACTS.items():
            facts[name] = await first_known(connection, queries)
            if name == "server":
                facts["latency"] = describe_latency(await measure_latency(connection))
    return facts


async def first_known(connection: AsyncConnection, queries: tuple[str, ...]) -> str:
    """Return what the first query returns that the server knows and allows."""
    for query in queries:
        try:
            if (value := await connection.scalar(text(query))) is not None:
                return str(value)
        except DBAPIError as error:
            await connection.rollback()
            if error.connection_invalidated:
                raise
    return "unknown"


async def measure_latency(connection: AsyncConnection) -> list[float]:
    """Return how many milliseconds each of 20 round trips took."""
    raw = (await connection.get_raw_connection()).driver_connection
    taken = []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        await driver.fetch(raw, "SELECT 1", ())
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def describe_latency(taken: list[float]) -> str:
    slow = quantiles(taken, n=20)[-1]
    return f"p50 {median(taken):.2f} ms, p95 {slow:.2f} ms ({len(taken)} round trips)"


async def describe_revision(engine: AsyncEngine) -> tuple[str, bool]:
    """Return at which revision the tables are, and whether the code can use them."""
    known, newest = read_revisions(VERSIONS)
    found = await read_revision(engine)
    name = ", ".join(sorted(found)) or "none"
    if found == newest:
        return f"{name}, the newest", True
    if found - known:
        return f"{name}, newer than this code", True
    needed = ", ".join(sorted(newest))
    return f"{name}, the code needs {needed}: run `uv run app db upgrade`", False


def describe_deadlines(settings: CoreSettings) -> str:
    return (
        f"{settings.database_request_timeout_seconds:g} s at most,"
        f" a statement {settings.database_statement_timeout_seconds:g} s,"
        f" a lock {settings.database_lock_timeout_seconds:g} s,"
        f" a free connection {settings.database_pool_timeout_seconds:g} s"
    )


async def describe_pools(settings: CoreSettings) -> str:
    database = Database(settings)
    most = {engine: most_connections(engine) for engine in database.engines}
    await database.dispose()
    write, read = most[database.engine], most[database.read_engine]
    return f"{write} to write, {read} to read; at most {sum(most.values())} for each process"
