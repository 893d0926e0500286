"""Tables of what was measured."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.load import Burst
from benchmarks.workloads import WORKLOADS

REFERENCE = "L0"


def ratio(bursts: Sequence[Burst], reference: Sequence[Burst]) -> tuple[float, float, float]:
    """Of the medians; and the smallest and the largest of one round."""
    mine = [each.requests_per_second for each in bursts]
    theirs = [each.requests_per_second for each in reference]
    each = [a / b for a, b in zip(mine, theirs, strict=True)]
    return median(mine) / median(theirs), min(each), max(each)


def table(work: str, results: Mapping[str, Sequence[Burst]]) -> str:
    head = ["", "req/s", "of L0", "per round", "p50 ms", "p99 ms", "CPU µs", "MiB", "errors"]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    for name, bursts in results.items():
        spans = ["-", "-"]
        if REFERENCE in results:
            middle, low, high = ratio(bursts, results[REFERENCE])
            spans = [f"{middle:.2f}", f"{low:.2f}..{high:.2f}"]
        lines.append([
            name,
            f"{median(each.requests_per_second for each in bursts):.0f}",
            *spans,
            f"{median(each.p50_ms for each in bursts):.1f}",
            f"{median(each.p99_ms for each in bursts):.1f}",
            f"{median(each.cpu_us for each in bursts):.0f}",
            f"{bursts[-1].rss_mib:.0f}",
            f"{sum(each.errors for each in bursts)}",
        ])  # fmt: skip
    title = f"### {work}: {WORKLOADS[work].title}\n\n"
    return title + "".join(f"| {' | '.join(line)} |\n" for line in lines)
