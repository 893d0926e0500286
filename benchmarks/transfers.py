"""Many rows in (W6) and out (W7): rows per second, and how much memory that takes."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.load import cpu_seconds, memory_mib, processes
from benchmarks.preparation import FOLDER
from benchmarks.targets import FIRST_CORE, Server, Target
from benchmarks.workloads import WrongAnswerError
from tests.project import PATIENCE_SECONDS, run

INSERT, EXPORT = "W6", "W7"
TITLES = {INSERT: "bulk insert", EXPORT: "export of all orders"}
EXPORT_PATH = "/orders/export"

T = TypeVar("T")


@dataclass(frozen=True)
class Transfer:
    rows_per_second: float
    cpu_us: float  # for each row
    growth_mib: float


def insert(target: Target, count: int) -> Transfer:
    """In a process of its own, which is on the first core as the servers are."""
    script = FOLDER / f"insert_{'service' if target.is_service else 'raw'}.py"
    # The script's folder comes first, and `app` lies in the project.
    variables = target.environment(target.url, target.folder)
    command = f"taskset -c {FIRST_CORE} {target.command[0]} {script} {count}"
    try:
        cost = json.loads(run(target.folder, command, variables).splitlines()[-1])
    except AssertionError as error:
        raise WrongAnswerError(str(error)) from None
    if (found := asyncio.run(delete_inserted(target))) != count:
        raise WrongAnswerError(f"{found} rows, not {count}")
    return Transfer(count / cost["seconds"], cost["cpu_seconds"] / count * 1e6, cost["growth_mib"])


async def delete_inserted(target: Target) -> int:
    engine = create_async_engine(target.url)
    async with engine.begin() as connection:
        result = await connection.execute(text("DELETE FROM users WHERE email LIKE 'bulk-%'"))
    await engine.dispose()
    return result.rowcount


def export(server: Server, count: int) -> Transfer:
    """Over HTTP; the client is on the other core."""
    for each in processes(server.pid):
        (each / "clear_refs").write_text("5")  # its peak is what it has now
    memory, used = memory_mib(server.pid), cpu_seconds(server.pid)
    started, rows = time.perf_counter(), 0
    try:
        url = server.url + EXPORT_PATH
        with httpx.stream("GET", url, trust_env=False, timeout=PATIENCE_SECONDS) as answer:
            for chunk in answer.iter_raw():
                rows += chunk.count(b"\n")
    except httpx.TransportError as error:
        raise WrongAnswerError(repr(error)) from None
    seconds = time.perf_counter() - started
    if (answer.status_code, rows) != (200, count):
        raise WrongAnswerError(f"{answer.status_code} and {rows} rows, not {count}")
    cpu = (cpu_seconds(server.pid) - used) / count * 1e6
    return Transfer(count / seconds, cpu, memory_mib(server.pid, "VmHWM") - memory)


def in_turn(
    sources: Mapping[str, T], measure: Callable[[T], Transfer], rounds: int
) -> tuple[dict[str, list[Transfer]], list[str]]:
    """And the errors, for those that are left out. The first round does not count."""
    results: dict[str, list[Transfer]] = {name: [] for name in sources}
    errors: list[str] = []
    for number in range(rounds + 1):
        names: Sequence[str] = list(results)
        for name in names[:: -1 if number % 2 else 1]:
            try:
                results[name].append(measure(sources[name]))
            except WrongAnswerError as error:
                del results[name]
                errors.append(f"{name} is left out: {error}")
    return {name: found[1:] for name, found in results.items()}, errors
