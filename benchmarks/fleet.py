"""Updates fifty services at once, as the README says, and how long that takes.

    uv run python -m benchmarks.fleet

The services come from all releases, for all databases, and their owners edited them. They are
updated to the files as they lie here. It ends with an error when one was not, when one conflicts,
or when a file that nobody edited is not as in a new rendering.
"""

import itertools
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import copier
import yaml

from tests.edits import edit_as_an_owner
from tests.project import environment
from tests.repository import (
    DRIVERS,
    ENVIRONMENT,
    RELEASES,
    WORK,
    commit,
    git,
    readme_commands,
    tagged_clone,
)
from tests.updates import not_owned

SERVICES = 50


@dataclass(frozen=True, kw_only=True)
class Variant:
    version: str
    driver: str
    examples: bool
    ci: str | None

    @property
    def answers(self) -> dict[str, str | bool]:
        answers: dict[str, str | bool] = {"driver": self.driver, "examples": self.examples}
        if self.ci:
            answers["ci"] = self.ci
        return answers


def variants() -> Iterator[Variant]:
    """All of them, again and again."""
    kinds = []
    for version, sha in RELEASES.items():
        question = yaml.safe_load(git("show", f"{sha}:copier.yml")).get("ci")
        systems = question["choices"].values() if question else [None]
        kinds += [
            Variant(version=version, driver=driver, examples=examples, ci=ci)
            for driver, examples, ci in itertools.product(DRIVERS, (True, False), systems)
        ]
    return itertools.cycle(kinds)


def create(template: Path, project: Path, variant: Variant, ref: str) -> None:
    """Renders it, and lets its owner work."""
    data = {**variant.answers, "project_name": project.name}
    copier.run_copy(str(template), project, data, vcs_ref=ref, defaults=True, quiet=True)
    git("init", "--quiet", "--initial-branch=main", cwd=project)
    commit(project)
    edit_as_an_owner(project)


def update(folder: Path) -> Iterator[tuple[str, float]]:
    """What the command printed for each service, and the seconds that it took."""
    started = time.perf_counter()
    with subprocess.Popen(
        ["bash", "-c", readme_commands("## Fleets")[0]],
        cwd=folder,
        env=environment(ENVIRONMENT),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            now = time.perf_counter()
            yield line.rstrip(), now - started
            started = now


def check(project: Path, expected: Path) -> None:
    """It is as if its owner had started from the newest version, and is committed on a branch."""
    assert not_owned(project) == not_owned(expected), project.name
    assert git("status", "--porcelain", cwd=project) == "", project.name
    assert git("branch", "--show-current", cwd=project).strip() == "template-update"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ |= ENVIRONMENT
        folder = Path(name, "services")
        template = tagged_clone(Path(name, "template"))
        kinds = {
            f"service-{number}": kind
            for number, kind in zip(range(SERVICES), variants(), strict=False)
        }
        for service, kind in kinds.items():
            create(template, folder / service, kind, f"v{kind.version}")
        started = time.perf_counter()
        *lines, (summary, _) = update(folder)
        total = time.perf_counter() - started
        assert sorted(line for line, _ in lines) == sorted(f"updated {each}" for each in kinds)
        assert summary.split() == [str(SERVICES), "updated"]
        for service, kind in kinds.items():
            fresh = Path(name, "fresh", service)
            create(template, fresh, kind, WORK)
            check(folder / service, fresh)
        report([seconds for _, seconds in lines], total, len({*kinds.values()}))


def report(seconds: list[float], total: float, kinds: int) -> None:
    releases = ", ".join(RELEASES)
    print(f"{len(seconds)} services, {kinds} variants of {releases}: all updated, no conflict")
    slow = statistics.quantiles(seconds, n=10)[-1]
    median, slowest = statistics.median(seconds), max(seconds)
    print(f"seconds for each: median {median:.1f}, p90 {slow:.1f}, max {slowest:.1f}")
    print(f"seconds for all: {total:.0f}")


if __name__ == "__main__":
    main()
