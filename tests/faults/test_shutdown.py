"""A process of the service ends, in good order or killed."""

import asyncio
import os
import signal

import httpx

from tests.faults.conftest import Record, Stage, on_all
from tests.faults.ledger import BROKEN
from tests.faults.test_overload import locked, rename

# Longer than the test takes to see what new clients get in the meantime.
DELAY_SECONDS = 4


@on_all
def test_requests_in_flight_are_answered_and_others_serve_when_a_process_ends(
    stage: Stage, record_property: Record
) -> None:
    asyncio.run(end_processes(stage, record_property))


async def end_processes(stage: Stage, record: Record) -> None:
    names = ("LOCK", "STATEMENT", "REQUEST")
    slow = {f"DATABASE_{name}_TIMEOUT_SECONDS": "20" for name in names}
    async with stage.serving(None, **slow, SHUTDOWN_DELAY_SECONDS=str(DELAY_SECONDS)) as service:
        ledger, other = service.ledger(), service.ledger()
        victim, survivor = service.workers()
        async with ledger.load():
            await asyncio.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            await asyncio.sleep(1)
            seconds = await other.recovered()
        assert ledger.statuses().keys() <= {200, 201, BROKEN}
        assert await ledger.lost(stage.url) == set()
        assert survivor in service.workers()
        for _ in range(200):
            if len(service.workers()) == 2:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("There is no new worker.")
        record("kill -9 of a worker", ledger.summary(seconds))

        user = (await other.write()).body["id"]
        async with locked(stage.url):
            renaming = asyncio.create_task(rename(ledger, user))
            await asyncio.sleep(0.5)
            service.process.terminate()
            await asyncio.sleep(0.5)
            assert await answers_to_new_clients(service.port, "/health/ready") == {503}
            assert await answers_to_new_clients(service.port, "/users") == {200}
            await asyncio.sleep(DELAY_SECONDS)
            assert await answers_to_new_clients(service.port, "/users") == {BROKEN}
            assert not renaming.done()
        assert await renaming == 200
        assert await service.ended() == 0


async def answers_to_new_clients(port: int, path: str) -> set[int]:
    """On new connections. After the delay the workers' parent still listens; nobody answers."""
    found = set()
    for _ in range(4):
        async with httpx.AsyncClient(trust_env=False, timeout=0.5) as client:
            try:
                response = await client.get(f"http://127.0.0.1:{port}{path}")
            except httpx.TransportError:
                found.add(BROKEN)
            else:
                found.add(response.status_code)
    return found
