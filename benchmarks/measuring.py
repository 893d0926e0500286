"""Everything that is measured on one driver."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks import load, transfers
from benchmarks.baselines.rows import ORDERS_PER_USER
from benchmarks.counting import PerRequest, count
from benchmarks.durability import DurableServers, durability
from benchmarks.load import Burst
from benchmarks.options import PEERS, Options
from benchmarks.peers import peers
from benchmarks.preparation import BASELINES, TargetFactory, render
from benchmarks.targets import SECOND_CORE, Server, Target, running
from benchmarks.transfers import EXPORT, INSERT, Transfer
from benchmarks.workloads import WORKLOADS, WrongAnswerError, ask
from tests.project import PATIENCE_SECONDS
from tests.servers import Servers, version

TABLES = {name: work.tables for name, work in WORKLOADS.items()}
TABLES |= {INSERT: ("users",), EXPORT: ("users", "orders")}


@dataclass
class Results:
    """By workload, and then by target."""

    driver: str
    versions: dict[str, str] = field(default_factory=dict)
    bursts: dict[str, dict[str, list[Burst]]] = field(default_factory=dict)
    transfers: dict[str, dict[str, list[Transfer]]] = field(default_factory=dict)
    counts: dict[str, dict[str, PerRequest]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    durability: str = ""
    # By target, and then by workload: in what its work is another.
    caveats: dict[str, Mapping[str, str]] = field(default_factory=dict)


def measure(driver: str, options: Options, folder: Path, stack: ExitStack) -> Results:
    """What answers wrongly is left out, and named in the errors."""
    results = Results(driver)
    servers = DurableServers(stack)
    say(driver, "preparing")
    with on_the_second_core():
        servers.url(driver)
    targets = prepare(driver, options, folder, servers, results)
    with on_the_second_core():
        say(driver, "counting")
        count_statements(targets, options, folder, results)
        started = [
            stack.enter_context(running(target, folder, target.environment(target.url)))
            for target in targets
        ]
        for work in options.work:
            say(driver, work)
            measure_one(work, started, options, folder, results)
    return results


def say(driver: str, what: str) -> None:
    print(f"{driver}: {what}", file=sys.stderr, flush=True)


@contextmanager
def on_the_second_core() -> Iterator[None]:
    """With all processes that are started meanwhile, such as the database server."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SECOND_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def prepare(
    driver: str, options: Options, folder: Path, servers: Servers, results: Results
) -> list[Target]:
    """The targets that are asked for, with filled databases."""
    wanted = options.targets if options.services else ["service", *options.targets]
    projects = {**render(folder, driver, wanted), **options.services}
    tables = sorted({table for work in options.work for table in TABLES[work]})
    first = next(iter(options.services.values()), projects.get("service"))
    assert first
    factory = TargetFactory(
        driver=driver,
        folder=folder,
        servers=servers,
        project=first,
        users=options.users,
        tables=tables,
    )
    targets = factory.baselines([name for name in BASELINES if name in options.targets])
    targets += [
        factory.service(name, path) for name, path in projects.items() if name in options.targets
    ]
    targets += peers(driver, folder, servers, options.users) if PEERS in options.targets else []
    database = version(targets[0].url).partition(" on ")[0]
    results.versions = {**factory.versions(), "database": database}
    results.durability = durability(targets[0].url)
    results.caveats = {target.name: target.caveats for target in targets if target.caveats}
    return targets


def count_statements(
    targets: Sequence[Target], options: Options, folder: Path, results: Results
) -> None:
    works = [name for name in options.work if name in WORKLOADS]
    for target in targets:
        found, errors = count(target, works, folder)
        for work, each in found.items():
            results.counts.setdefault(work, {})[target.name] = each
        results.errors += [
            f"{work} {target.name} is not counted: {error}" for work, error in errors.items()
        ]


def measure_one(
    work: str, servers: Sequence[Server], options: Options, folder: Path, results: Results
) -> None:
    if work in WORKLOADS:
        measure_load(work, servers, options, folder, results)
        return
    rounds, able = options.load.rounds, with_transfers(servers)
    if work == INSERT:
        insert = partial(transfers.insert, count=options.rows)
        targets = {name: server.target for name, server in able.items()}
        found, errors = transfers.in_turn(targets, insert, rounds)
    else:
        export = partial(transfers.export, count=options.users * ORDERS_PER_USER)
        found, errors = transfers.in_turn(able, export, rounds)
    results.transfers[work] = found
    results.errors += [f"{work} {error}" for error in errors]


def with_transfers(servers: Sequence[Server]) -> Mapping[str, Server]:
    return {
        server.target.name: server
        for server in servers
        if server.target.is_service or server.target.name == "L0"
    }


def measure_load(
    work: str, servers: Sequence[Server], options: Options, folder: Path, results: Results
) -> None:
    able = [server for server in servers if answers(server, work, results)]
    results.bursts[work] = load.rounds(able, work, folder, options.load)
    for name, bursts in results.bursts[work].items():
        if errors := sum(each.errors for each in bursts):
            results.errors.append(f"{work} {name}: {errors} requests failed under load")


def answers(server: Server, work: str, results: Results) -> bool:
    """Whether it answers as it should."""
    if not server.target.serves(work):
        return False
    try:
        with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client:
            ask(client, server, work)
    except WrongAnswerError as error:
        results.errors.append(f"{work} {server.target.name} is left out: {error}")
        return False
    return True
