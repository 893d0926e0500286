"""The command line."""

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load
from benchmarks.preparation import BASELINES, SERVICES
from benchmarks.transfers import EXPORT, INSERT
from benchmarks.workloads import DEFAULT, WORKLOADS
from tests.repository import DRIVERS

RESULTS = Path(__file__).with_name("results")
PEERS = "peers"
ALL_WORK = [*WORKLOADS, EXPORT, INSERT]
QUICK = {"rounds": 1, "seconds": 0.1, "connections": 8, "users": 100, "rows": 200}
QUICK_TARGETS = [*BASELINES, "service"]


@dataclass(frozen=True, kw_only=True)
class Options:
    drivers: list[str]
    targets: list[str]
    services: dict[str, Path]
    work: list[str]
    load: Load
    users: int
    rows: int
    output: Path
    json: Path | None


def names_among(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(f"{sorted(unknown)} not among {', '.join(known)}")
        return found

    return names


def named_path(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    return name or "service", Path(path).resolve()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=(
        "Measures the service as it lies here beside the driver alone, the common style, the"
        " release 0.3.0, and other templates, in turn. Everything that it needs it starts itself,"
        " and stops again."
    ))  # fmt: skip
    add = made.add_argument
    add("--driver", action="append", choices=DRIVERS, help="may be repeated; default: all")
    known = ", ".join([*BASELINES, *SERVICES, PEERS])
    add("--targets", type=lambda text: text.split(","), help=(
        f"comma-separated: {known}; default: all, or with --service the first three and those"
    ))  # fmt: skip
    add("--service", action="append", type=named_path, default=[], metavar="[NAME=]PATH", help=(
        "a rendered project to measure in place of the files as they lie here; may be repeated"
    ))  # fmt: skip
    add("--work", type=names_among(ALL_WORK), help=(
        f"comma-separated: {', '.join(ALL_WORK)}; default: all but W3-first"
    ))  # fmt: skip
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=2.0, help="of a round, for each target")
    add("--connections", type=int, default=32)
    add("--users", type=int, default=10_000, help="that there are, each with 10 orders")
    add("--rows", type=int, default=50_000, help="that W6 inserts")
    add("--quick", action="store_true", help="so little of everything that only the counts hold")
    add("--output", type=Path, default=RESULTS, help="the folder of the tables and plots")
    add("--json", type=Path, help="a file for all figures")
    return made


def parse(arguments: list[str]) -> Options:
    made = parser()
    given = made.parse_args(arguments)
    if given.quick:
        # What is on the command line as well is stronger.
        made.set_defaults(**QUICK, targets=None if given.service else QUICK_TARGETS)
        given = made.parse_args(arguments)
    services = dict(given.service)
    if unknown := set(given.targets or ()) - {*BASELINES, *SERVICES, PEERS, *services}:
        made.error(f"no such targets: {', '.join(sorted(unknown))}")
    return Options(
        drivers=given.driver or list(DRIVERS),
        targets=given.targets or [*BASELINES, *(services or [*SERVICES, PEERS])],
        services=services,
        work=[name for name in ALL_WORK if name in (given.work or [*DEFAULT, EXPORT, INSERT])],
        load=Load(given.rounds, given.seconds, given.connections),
        users=given.users,
        rows=given.rows,
        output=given.output,
        json=given.json,
    )
