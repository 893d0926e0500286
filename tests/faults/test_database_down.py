"""The database is not there at the start, or goes away while requests arrive."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.faults.conftest import Record, Stage, on_servers
from tests.faults.servers import ServerProcess
from tests.faults.service import MARGIN_SECONDS, READY_SECONDS, REQUEST_SECONDS, Service

DOWN_SECONDS = 1.0


@contextmanager
def restarting(server: ServerProcess) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def crashing(server: ServerProcess) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def freezing(server: ServerProcess) -> Iterator[None]:
    with server.frozen():
        yield


FAULTS = {"restart": restarting, "crash": crashing, "freeze": freezing}


@on_servers
def test_no_acknowledged_write_is_lost_when_the_database_goes_away(
    stage: Stage, record_property: Record
) -> None:
    asyncio.run(lose_the_database(stage, record_property))


async def lose_the_database(stage: Stage, record: Record) -> None:
    server = stage.server()
    server.stop()
    async with stage.serving() as service:
        workers = service.workers()
        record("boot", await start_without(service, server))
        for name, fault in FAULTS.items():
            record(name, await fail_under_load(service, stage, fault(server)))
        assert service.workers() == workers


async def start_without(service: Service, server: ServerProcess) -> str:
    ledger = service.ledger()
    assert (await ledger.send("GET", "/health/live")).status == 200
    for path in ("/health/ready", "/users"):
        answer = await ledger.send("GET", path)
        assert (answer.status, answer.retry_after) == (503, "1")
    assert (await ledger.write()).status == 503
    await asyncio.to_thread(server.start)
    seconds = await ledger.recovered()
    assert (await ledger.send("GET", "/health/ready")).status == 200
    return f"recovered after {seconds:.2f} s"


async def fail_under_load(
    service: Service, stage: Stage, fault: AbstractContextManager[None]
) -> str:
    ledger, other = service.ledger(), service.ledger()
    async with ledger.load():
        await asyncio.sleep(0.5)
        await asyncio.to_thread(fault.__enter__)
        live = await other.send("GET", "/health/live")
        ready = await other.send("GET", "/health/ready")
        await asyncio.sleep(DOWN_SECONDS)
        await asyncio.to_thread(fault.__exit__, None, None, None)
        seconds = await other.recovered()
    assert (live.status, ready.status) == (200, 503), other.broken()
    assert ready.seconds < READY_SECONDS + MARGIN_SECONDS
    assert ledger.statuses().keys() == {200, 201, 503}, ledger.broken()
    assert {answer.retry_after for answer in ledger.refused()} == {"1"}
    assert ledger.slowest() < REQUEST_SECONDS + MARGIN_SECONDS
    assert await ledger.lost(stage.url) == set()
    return ledger.summary(seconds)
