"""How fast a service is: `uv run python -m benchmarks`."""

import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import plot, report
from benchmarks.measuring import Results, measure
from benchmarks.options import Options, parse

DISK = "/var/tmp"  # /tmp may be memory


def write(results: Results, options: Options) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    tables, drawing = (options.output / f"{results.driver}.{kind}" for kind in ("md", "svg"))
    title = f"Throughput on {results.driver}, as a part of what the driver alone reaches"
    drawing.write_text(plot.draw(report.ratios(results), report.TITLES, title))
    tables.write_text(report.document(results, options, drawing.name))
    print(tables.read_text())
    print(f"Written: {tables}, {drawing}", flush=True)


def main() -> int:
    options = parse(sys.argv[1:])
    if shutil.which("wrk") is None:
        print("There is no wrk, which makes the load; on Debian: apt-get install wrk")
        return 1
    os.environ.setdefault("TMPDIR", DISK)
    everything = []
    with tempfile.TemporaryDirectory() as folder:
        for driver in options.drivers:
            with ExitStack() as stack:
                results = measure(driver, options, Path(folder), stack)
            write(results, options)
            everything.append(results)
    if options.json:
        figures = {results.driver: asdict(results) for results in everything}
        options.json.write_text(json.dumps(figures, indent=1))
    return 1 if any(results.errors for results in everything) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except pytest.skip.Exception as skipped:  # a server that this machine does not have
        sys.exit(str(skipped))
