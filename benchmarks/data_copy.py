"""How fast `app data copy` is, and that its memory does not grow: `python -m benchmarks.data_copy`.

For each pair of databases two copies, of a tenth of the rows and of all: a million, unless another
number is given. The figures are of this machine, which runs the copy and both servers.
"""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import copier
from copier.errors import DirtyLocalWarning

from tests.project import environment, run
from tests.repository import DRIVERS, TOP
from tests.servers import Servers, written

FILL = TOP / "benchmarks" / "fill_users.py"


def render(driver: str, folder: Path) -> Path:
    project = folder / driver
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(
            str(TOP), project, data={"driver": driver}, vcs_ref="HEAD", defaults=True, quiet=True
        )
    shutil.copy(FILL, project)
    run(project, "uv sync --quiet --group copy")
    return project


def create(project: Path, servers: Servers, rows: int = 0) -> str:
    """The URL of a new database with so many users."""
    url = written(servers.create_database(project.name))
    run(project, "uv run --group copy alembic upgrade head", {"DATABASE_URL": url})
    if rows:
        run(project, f"uv run --group copy python {FILL.name} {rows}", {"DATABASE_URL": url})
    return url


def measure(project: Path, source: str, target: str) -> tuple[float, float]:
    """Seconds, and megabytes at most: from Linux, which says so while the process is there."""
    start, peak = time.monotonic(), "0"
    with subprocess.Popen(
        [project / ".venv" / "bin" / "app", "data", "copy", "--from", source, "--to", target],
        cwd=project,
        env=environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = re.findall(r"VmHWM:\s+(\d+)", status)[0] if "VmHWM" in status else peak
            time.sleep(0.02)
    assert process.returncode == 0
    return time.monotonic() - start, int(peak) / 1024


def main(rows: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = Servers(stack)
        projects = {driver: render(driver, folder) for driver in DRIVERS}
        sizes = (rows // 10, rows)
        sources = {
            (driver, size): create(projects[driver], servers, size)
            for driver in DRIVERS
            for size in sizes
        }
        print(f"{'':24}{sizes[0]:>10} rows{sizes[1]:>12} rows")
        print(f"{'from':12}{'to':12}{'MB':>15}{'MB':>17}{'seconds':>10}{'rows/s':>10}")
        for old, new in itertools.permutations(DRIVERS, 2):
            project = projects[new]
            small, large = (
                measure(project, sources[old, size], create(project, servers)) for size in sizes
            )
            speed = rows / large[0]
            print(f"{old:12}{new:12}{small[1]:15.0f}{large[1]:17.0f}{large[0]:10.1f}{speed:10.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
