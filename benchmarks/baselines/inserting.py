"""What the two programs of W6 share."""

import json
import time
from collections.abc import Awaitable
from pathlib import Path


def new_users(count: int) -> list[dict[str, str]]:
    return [
        {"email": f"bulk-{number}@example.com", "full_name": f"Bulk {number}"}
        for number in range(count)
    ]


async def measured(work: Awaitable[None]) -> None:
    """Prints what it cost, as JSON."""
    memory, used, started = memory_mib("VmRSS"), time.process_time(), time.perf_counter()
    await work
    cost = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "growth_mib": memory_mib("VmHWM") - memory,
    }
    print(json.dumps(cost))


def memory_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024
