"""How fast a service is: `uv run python -m benchmarks`."""

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks import load, report
from benchmarks.preparation import RUNGS, SERVICES, Workshop, render
from benchmarks.targets import SECOND_CORE, Server, Target, running
from benchmarks.workloads import DEFAULT, WORKLOADS, WrongAnswerError, ask
from tests.repository import DRIVERS
from tests.servers import Servers


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--driver", action="append", choices=DRIVERS)
    parser.add_argument("--work", type=lambda text: text.split(","), default=list(DEFAULT))
    parser.add_argument("--targets", type=lambda text: text.split(","))
    parser.add_argument("--service", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--users", type=int, default=10_000)
    options = parser.parse_args(arguments)
    return options


def main() -> int:
    options = parse(sys.argv[1:])
    if shutil.which("wrk") is None:
        print("There is no wrk, which makes the load; on Debian: apt-get install wrk")
        return 1
    right = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for driver in options.driver or DRIVERS:
            with ExitStack() as inner:
                right = measure(driver, folder, inner, options) and right
    return 0 if right else 1


def given(options: argparse.Namespace) -> dict[str, Path]:
    found = {}
    for each in options.service:
        name, _, path = each.rpartition("=")
        found[name or "service"] = Path(path).resolve()
    return found


def measure(driver: str, folder: Path, stack: ExitStack, options: argparse.Namespace) -> bool:
    own = given(options)
    names = options.targets or [*RUNGS, *(own or SERVICES)]
    projects = render(folder, driver, [*names, *([] if own else ["service"])])
    projects = {**projects, **own}
    first = next(iter(own.values()), projects.get("service"))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SECOND_CORE})  # the database, too
    servers = Servers(stack)
    servers.url(driver)
    os.sched_setaffinity(0, cores)
    tables = sorted({table for work in options.work for table in WORKLOADS[work].tables})
    workshop = Workshop(driver, folder, servers, users=options.users, tables=tables)
    targets: list[Target] = []
    services = [workshop.service(n, p) for n, p in projects.items() if n in names]
    targets = workshop.ladder([name for name in RUNGS if name in names], first) + services
    os.sched_setaffinity(0, {SECOND_CORE})
    started = [
        stack.enter_context(running(t, folder, t.variables(t.url))) for t in targets
    ]
    right = True
    for work in options.work:
        able = []
        with httpx.Client(trust_env=False, timeout=30) as client:
            for server in started:
                if not server.target.serves(work):
                    continue
                try:
                    ask(client, server, work)
                    able.append(server)
                except WrongAnswerError as error:
                    right = False
                    print(f"ERROR {work} {server.target.name} is left out: {error}")
        results = load.rounds(
            able, work, folder, count=options.rounds, seconds=options.seconds,
            connections=options.connections,
        )
        print(report.table(work, results), flush=True)
        right = right and not any(b.errors for bursts in results.values() for b in bursts)
    os.sched_setaffinity(0, cores)
    return right


if __name__ == "__main__":
    sys.exit(main())
