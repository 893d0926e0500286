"""The network between a service and its database fails."""

import asyncio
import uuid

import pytest

from tests.edits import change
from tests.faults.conftest import Record, Stage, on_servers
from tests.faults.ledger import stored
from tests.faults.proxy import Proxy
from tests.faults.service import MARGIN_SECONDS, READY_SECONDS, REQUEST_SECONDS, Service

# Enough for some connections in both workers, and few enough to find one in time.
REQUESTS = 8
# One way: a round trip takes 0.2 s.
LATENCY_SECONDS = 0.1


@on_servers
def test_what_is_acknowledged_is_stored_when_the_network_fails(
    stage: Stage, record_property: Record
) -> None:
    asyncio.run(fail_in_all_ways(stage, record_property))


async def fail_in_all_ways(stage: Stage, record: Record) -> None:
    async with proxy_of(stage) as proxy, stage.serving(stage.at(proxy.port)) as service:
        await service.ledger().recovered()
        await cut_before_commit(service, proxy, stage)
        await cut_after_commit(service, proxy, stage)
        await cut_idle_connections(service, proxy)
        record("latency", await delay(service, proxy, stage))
        record("stall", await swallow(service, proxy, stage))
        record("black hole", await swallow(service, proxy, stage, cut=True))


def proxy_of(stage: Stage) -> Proxy:
    assert stage.url.port
    return Proxy(stage.url.port)


async def cut_before_commit(service: Service, proxy: Proxy, stage: Stage) -> None:
    before = await stored(stage.url)
    proxy.cut_at_commit = "before"
    ledger = service.ledger()
    for _ in range(10):
        await ledger.write()
    proxy.cut_at_commit = None
    assert proxy.cuts >= 10
    assert ledger.statuses().keys() == {503}
    assert await stored(stage.url) == before
    await service.ledger().recovered()


async def cut_after_commit(service: Service, proxy: Proxy, stage: Stage) -> None:
    """The service cannot know the result. The same request again gets it."""
    before = await stored(stage.url)
    keys = [uuid.uuid4().hex for _ in range(10)]
    proxy.cut_at_commit = "after"
    ledger, again = service.ledger(), service.ledger()
    for key in keys:
        await ledger.write(key)
    proxy.cut_at_commit = None
    assert ledger.statuses().keys() == {503}
    written = await stored(stage.url) - before
    assert len(written) == 10
    await service.ledger().recovered()
    for key in keys:
        await again.write(key)
    assert again.statuses() == {201: 10}
    assert again.acknowledged == written


async def cut_idle_connections(service: Service, proxy: Proxy) -> None:
    ledger = service.ledger()
    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            for _ in range(REQUESTS):
                group.create_task(ledger.write())
                group.create_task(ledger.read())
        proxy.cut()
        await asyncio.sleep(0.2)
    async with ledger.load():
        await asyncio.sleep(0.3)
    assert ledger.statuses().keys() == {200, 201}


async def delay(service: Service, proxy: Proxy, stage: Stage) -> str:
    ledger = service.ledger()
    proxy.latency = LATENCY_SECONDS
    async with ledger.load():
        await asyncio.sleep(2)
    proxy.latency = 0
    seconds = await service.ledger().recovered()
    assert ledger.statuses().keys() <= {200, 201, 503}
    assert ledger.acknowledged
    assert ledger.slowest() < REQUEST_SECONDS + MARGIN_SECONDS
    assert await ledger.lost(stage.url) == set()
    return ledger.summary(seconds)


async def swallow(service: Service, proxy: Proxy, stage: Stage, *, cut: bool = False) -> str:
    """Nothing passes on the pool's connections, or with `cut` on new ones."""
    ledger, other = service.ledger(), service.ledger()
    with proxy.stalled():
        if cut:
            proxy.cut()
        async with ledger.load():
            live = await other.send("GET", "/health/live")
            ready = await other.send("GET", "/health/ready")
            await asyncio.sleep(REQUEST_SECONDS)
    seconds = await other.recovered()
    assert (live.status, ready.status) == (200, 503), other.broken()
    assert ready.seconds < READY_SECONDS + MARGIN_SECONDS
    assert ledger.statuses().keys() == {503}, ledger.broken()
    assert {answer.retry_after for answer in ledger.refused()} == {"1"}
    assert ledger.slowest() < REQUEST_SECONDS + MARGIN_SECONDS
    assert await ledger.lost(stage.url) == set()
    return ledger.summary(seconds)


@pytest.mark.parametrize("stage", ["postgresql"], indirect=True)
def test_a_service_that_commits_after_the_response_is_found_to_lose_writes(stage: Stage) -> None:
    """Otherwise the tests of faults could not see a loss."""
    function = 'Annotated[AsyncSession, Depends(get_session, scope="function")]'
    change(stage.project, "app/core/database.py", function, function.replace("function", "request"))

    async def lose() -> None:
        async with proxy_of(stage) as proxy, stage.serving(stage.at(proxy.port)) as service:
            proxy.cut_at_commit = "before"
            ledger = service.ledger()
            for _ in range(5):
                await ledger.write()
            assert ledger.acknowledged
            assert await ledger.lost(stage.url) == ledger.acknowledged

    asyncio.run(lose())
