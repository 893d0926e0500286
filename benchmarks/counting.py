"""Statements and round trips per request: counted in a pass of its own, without load."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.preparation import FOLDER
from benchmarks.proxy import Count, counting_proxy
from benchmarks.targets import Server, Target, running
from benchmarks.workloads import WORKLOADS, WrongAnswerError, ask
from tests.project import PATIENCE_SECONDS

WARM_UP = 15  # a new connection first prepares its statements
REQUESTS = 10
SETTLE_SECONDS = 0.2


@dataclass(frozen=True)
class PerRequest:
    statements: float
    round_trips: float | None  # there are none to SQLite, which is a library


@contextmanager
def observed(target: Target, folder: Path) -> Iterator[tuple[Server, Callable[[], Count]]]:
    """The target, started once more, and how to ask what it has asked its database so far."""
    if target.url.get_backend_name() == "sqlite":
        file = folder / f"{target.name}.statements"
        file.touch()
        variables = target.environment(target.url, FOLDER / "traced")
        with running(target, folder, {**variables, "STATEMENTS_FILE": str(file)}) as server:
            yield server, lambda: Count(statements=file.stat().st_size)
    else:
        with (
            counting_proxy(target.url) as (url, count),
            running(target, folder, target.environment(url)) as server,
        ):
            yield server, lambda: Count(count.statements, count.round_trips)


def count(
    target: Target, works: Sequence[str], folder: Path
) -> tuple[dict[str, PerRequest], dict[str, str]]:
    """By workload, and why there is none."""
    found: dict[str, PerRequest] = {}
    errors: dict[str, str] = {}
    with (
        observed(target, folder) as (server, read),
        httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client,
    ):
        for work in works:
            if not target.serves(work) or WORKLOADS[work].connections:
                continue
            try:
                found[work] = count_one(client, server, work, read)
            except WrongAnswerError as error:
                errors[work] = str(error)
    return found, errors


def settled(read: Callable[[], Count]) -> Count:
    """When nothing is added any more: some commit after the response."""
    last = read()
    while True:
        time.sleep(SETTLE_SECONDS)
        if (now := read()) == last:
            return now
        last = now


def count_one(
    client: httpx.Client, server: Server, work: str, read: Callable[[], Count]
) -> PerRequest:
    for _ in range(WARM_UP):
        ask(client, server, work)
    before = settled(read)
    for _ in range(REQUESTS):
        ask(client, server, work)
    after = settled(read)
    trips = (after.round_trips - before.round_trips) / REQUESTS
    return PerRequest(
        (after.statements - before.statements) / REQUESTS,
        None if server.target.url.get_backend_name() == "sqlite" else trips,
    )
