"""Tables of what was measured, in Markdown."""

import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import transfers
from benchmarks.load import Burst
from benchmarks.measuring import Results
from benchmarks.options import Options
from benchmarks.transfers import EXPORT, INSERT, Transfer
from benchmarks.workloads import WORKLOADS
from tests.repository import git

REFERENCE = "L0"
TITLES = {name: work.title for name, work in WORKLOADS.items()} | transfers.TITLES
LEGEND = """\
- **L0**: the driver alone with Starlette and orjson, the limit.
- **L1**: the driver with FastAPI and pydantic, the ceiling for a service on FastAPI.
- **common**: the widely copied style, with an ORM session in a dependency that commits after the
  response, `pool_pre_ping`, a `select()` built for each request, and a `response_model`.
- **service**: a rendering of this template. **0.3.0**: one of that release. **0.3.0-updated**: the
  latter after `copier update`, so that its samples are the old code and its core is the new one.

Each has a process of its own on one core, and a database of its own. wrk and the database server
are on another core. All are up at the same time and take turns, each round in the opposite order.
The pool of each is 10, but that of the peers. The services write their logs. A 2xx of the service
means that the data is committed, so the database waits for the disk at each commit.

Figures are medians of the rounds; "per round" is the smallest and the largest ratio, and two ratios
whose spans overlap do not differ. The CPU time of the server process is the steadiest figure. A
request that waits for longer than a round is not in p99.
"""
PEERS = """\
The peers, {}, are services of other
templates, as their own generators make them. They keep their own pool, 5 connections and 10 more
under load, their access log and the newest packages, and run on the Python that their generator
needs, 3.13 or 3.12. Their work is not the same: what differs stands below each table. They have
nothing like W2 and W5.
"""
Found = Mapping[str, Sequence[Burst]] | Mapping[str, Sequence[Transfer]]


def speeds(found: Sequence[Burst] | Sequence[Transfer]) -> list[float]:
    return [
        each.requests_per_second if isinstance(each, Burst) else each.rows_per_second
        for each in found
    ]


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Of the medians; and the smallest and the largest of one round."""
    each = [a / b if b else 0.0 for a, b in zip(mine, theirs, strict=True)]
    base = median(theirs)
    return (median(mine) / base if base else 0.0), min(each), max(each)


def ratios(results: Results) -> dict[str, dict[str, float]]:
    """Of the throughput to that of L0, by workload and target."""
    everything: dict[str, Found] = {**results.bursts, **results.transfers}
    return {
        work: {
            name: ratio(speeds(each), speeds(found[REFERENCE]))[0] for name, each in found.items()
        }
        for work, found in everything.items()
        if REFERENCE in found
    }


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def middle(found: Sequence[Any], name: str, digits: int = 0) -> str:
    return f"{median(getattr(each, name) for each in found):,.{digits}f}"


def compared(name: str, found: Found) -> list[str]:
    if REFERENCE not in found:
        return ["-", "-"]
    of_medians, low, high = ratio(speeds(found[name]), speeds(found[REFERENCE]))
    return [f"{of_medians:.2f}", f"{low:.2f}..{high:.2f}"]


def load_table(work: str, results: Results) -> str:
    head = ["", "req/s", "of L0", "per round", "p50 ms", "p99 ms", "CPU µs"]
    head += ["statements", "round trips", "RSS MiB"]
    rows = []
    for name, bursts in results.bursts[work].items():
        row = [name, middle(bursts, "requests_per_second"), *compared(name, results.bursts[work])]
        row += [middle(bursts, "p50_ms", 1), middle(bursts, "p99_ms", 1), middle(bursts, "cpu_us")]
        count = results.counts.get(work, {}).get(name)
        trips = count and count.round_trips
        row += [f"{count.statements:g}" if count else "-", "-" if trips is None else f"{trips:g}"]
        rows.append([*row, middle(bursts, "rss_mib")])
    return markdown(head, rows) + caveats(work, results)


def caveats(work: str, results: Results) -> str:
    """Of the targets in the table of this workload; those of W1 hold for W1-256, too."""
    kind = work.partition("-")[0]
    notes = [
        f"- {name}: {found[kind]}\n"
        for name, found in results.caveats.items()
        if name in results.bursts[work] and kind in found
    ]
    return "".join(["\n", *notes] if notes else [])


def transfer_table(found: Mapping[str, Sequence[Transfer]]) -> str:
    head = ["", "rows/s", "of L0", "per round", "CPU µs per row", "growth MiB"]
    rows = []
    for name, each in found.items():
        row = [name, middle(each, "rows_per_second"), *compared(name, found)]
        rows.append([*row, middle(each, "cpu_us", 1), middle(each, "growth_mib", 1)])
    return markdown(head, rows)


def summary(values: Mapping[str, Mapping[str, float]], digits: int) -> str:
    """A column for each workload, and a row for each target."""
    rows = []
    for name in dict.fromkeys(name for found in values.values() for name in found):
        cells = [found.get(name) for found in values.values()]
        rows.append([name, *("-" if each is None else f"{each:.{digits}f}" for each in cells)])
    return markdown(["", *values], rows)


def circumstances(results: Results, options: Options) -> str:
    changed = ", and what is not committed" if git("status", "--porcelain", "template") else ""
    cpu = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    machine = f"{cpu[0] if cpu else platform.machine()}, {os.cpu_count()} cores"
    load = options.load
    lines = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": git("rev-parse", "--short", "HEAD").strip() + changed,
        "machine": f"{machine}, {platform.system()} {platform.release()}",
        "versions": ", ".join(f"{name} {value}" for name, value in results.versions.items()),
        "command": f"`{shlex.join(['uv', 'run', 'python', '-m', 'benchmarks', *sys.argv[1:]])}`",
        "load": f"{load.connections} connections, {load.rounds} rounds of {load.seconds:g} s",
        "rows": f"{options.users:,} users, each with 10 orders",
        "database": results.durability,
    }
    return "".join(f"- {name}: {value}\n" for name, value in lines.items())


def heading(work: str, options: Options) -> str:
    details = {
        EXPORT: f"{options.users * 10:,} rows as NDJSON, `GET {transfers.EXPORT_PATH}`",
        INSERT: f"{options.rows:,} users by `insert_rows`, beside the driver's fastest way",
    }
    if work in WORKLOADS:
        details[work] = f"`{WORKLOADS[work].method} {WORKLOADS[work].path}`"
    return f"## {work} {TITLES[work]}: {details[work]}\n\n"


def document(results: Results, options: Options, plot: str) -> str:
    cpu = {
        work: {name: median(each.cpu_us for each in bursts) for name, bursts in found.items()}
        for work, found in results.bursts.items()
    }
    parts = [f"# Throughput on {results.driver}\n", f"![beside L0]({plot})\n", LEGEND]
    if results.caveats:
        parts.append(PEERS.format(" and ".join(f"**{name}**" for name in results.caveats)))
    parts.append(circumstances(results, options))
    if results.errors:
        parts.append("## Errors\n\n" + "".join(f"- {error}\n" for error in results.errors))
    parts.append(f"## Throughput, of L0\n\n{summary(ratios(results), 2)}")
    parts.append(f"## CPU time per request, µs\n\n{summary(cpu, 0)}")
    parts += [heading(work, options) + load_table(work, results) for work in results.bursts]
    parts += [
        heading(work, options) + transfer_table(found) for work, found in results.transfers.items()
    ]
    return "\n".join(parts)
