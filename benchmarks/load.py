"""Bursts of requests on servers in turn, and what they cost."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.targets import SECOND_CORE, Server
from benchmarks.workloads import WORKLOADS

SCRIPT = Path(__file__).with_name("load.lua")
WARM_UP_SECONDS = 1.0
LONGEST_SECONDS = 3600
SETTLE_SECONDS = 10
# A burst that took so much longer, as when the machine is suspended, is repeated.
SUSPENDED_SECONDS, ATTEMPTS = 1.0, 3


@dataclass(frozen=True)
class Load:
    rounds: int
    seconds: float
    connections: int


@dataclass(frozen=True)
class Burst:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    rss_mib: float
    errors: int


def processes(pid: int) -> Iterator[Path]:
    """A process and those that it started, as folders."""
    folder = Path(f"/proc/{pid}")
    yield folder
    for tasks in folder.glob("task/*/children"):
        for child in tasks.read_text().split():
            yield from processes(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time."""
    ticks = 0
    for folder in processes(pid):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, name: str = "VmRSS") -> float:
    """What the processes have now, or had at most: VmHWM."""
    texts = [(folder / "status").read_text() for folder in processes(pid)]
    return sum(int(kib) for text in texts for kib in re.findall(rf"{name}:\s+(\d+)", text)) / 1024


def burst(server: Server, work: str, ids: Path, load: Load, *, seed: int) -> Burst:
    """Loads one server. In a round, all get the same ids: those of the seed."""
    command, told = wrk(server, work, ids, load.connections)
    told["LOAD_SEED"] = str(seed)
    for _ in range(ATTEMPTS):
        before = cpu_seconds(server.pid)
        told["LOAD_RUN"] = str(time.time_ns())
        result = interrupted(command, told, load.seconds)
        if result["us"] < (load.seconds + SUSPENDED_SECONDS) * 1e6:
            break
    requests = max(1, result["requests"])
    used = cpu_seconds(server.pid) - before
    settle(server.pid)
    return Burst(
        requests_per_second=result["requests"] / result["us"] * 1e6,
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
        cpu_us=used / requests * 1e6,
        rss_mib=memory_mib(server.pid),
        errors=result["errors"],
    )


def wrk(server: Server, work: str, ids: Path, connections: int) -> tuple[list[str], dict[str, str]]:
    """The command, and what its script is told."""
    workload, target = WORKLOADS[work], server.target
    command = ["taskset", "-c", str(SECOND_CORE), "wrk", "--threads=1", f"--script={SCRIPT}"]
    command += [f"--connections={workload.connections or connections}"]
    command += [f"--duration={LONGEST_SECONDS}", "--timeout=10s"]
    for name, value in {"Content-Type": "application/json", **target.headers}.items():
        command += ["--header", f"{name}: {value}"]
    told = {
        "LOAD_METHOD": target.methods.get(work, workload.method),
        "LOAD_PATH": target.path(work, workload.path),
        "LOAD_BODY": target.bodies.get(work, workload.body) or "",
        "LOAD_IDS": str(ids),
    }
    return [*command, server.url], told


def settle(pid: int) -> None:
    """Waits for the end of requests whose answers nobody awaits: the core is the next one's."""
    deadline = time.monotonic() + SETTLE_SECONDS
    used = -1.0
    while used != (used := cpu_seconds(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)


def interrupted(command: Sequence[str], told: dict[str, str], seconds: float) -> dict[str, int]:
    """What wrk reports when it is stopped: its own `--duration` knows no fractions of a second."""
    with subprocess.Popen(
        command, env={**os.environ, **told}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            wait_for_threads(process.pid)
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            printed = process.communicate(timeout=60)[0].decode()
        finally:
            process.kill()
    found = re.search("RESULT (.*)", printed)
    if not found:
        raise RuntimeError(f"wrk failed:\n{printed}")
    result: dict[str, int] = json.loads(found[1])
    return result


def wait_for_threads(pid: int) -> None:
    """Until wrk has them: before, a signal ends it without a report."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(os.listdir(f"/proc/{pid}/task")) == 1 and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.01)


def rounds(
    servers: Sequence[Server], work: str, folder: Path, load: Load
) -> dict[str, list[Burst]]:
    """A warm-up, then all servers in turn, in the opposite order each time."""
    warm_up = replace(load, seconds=min(WARM_UP_SECONDS, load.seconds / 2))
    results: dict[str, list[Burst]] = {server.target.name: [] for server in servers}
    for number in range(load.rounds + 1):
        for server in servers[:: -1 if number % 2 else 1]:
            ids = folder / f"{server.target.name}.ids"
            ids.write_text("\n".join(server.target.ids))
            result = burst(server, work, ids, load if number else warm_up, seed=number)
            results[server.target.name].append(result)
    for name, (unmeasured, first, *others) in results.items():
        results[name] = [replace(first, errors=first.errors + unmeasured.errors), *others]
    return results
