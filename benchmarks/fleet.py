"""Updates fifty services at once, as the README says, and how long that takes.

    uv run python -m benchmarks.fleet

The services come from all releases, for all databases, and their owners edited them. They are
updated to the files as they lie here. It ends with an error when one was not, when one conflicts,
or when a file that nobody edited is not as in a new rendering.
"""

import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import copier
import yaml
from tests.project import environment
from tests.repository import DRIVERS, ENVIRONMENT, RELEASES, TOP, WORK, commit, git, tagged_clone
from tests.test_update import append, edit_as_an_owner, not_owned

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


def create(template: Path, project: Path, variant: Variant, number: int) -> dict[str, str]:
    """Renders it, and lets its owner work; returns what must be found in which file."""
    data = {**variant.answers, "project_name": f"Service {number}"}
    ref = f"v{variant.version}"
    copier.run_copy(str(template), project, data, vcs_ref=ref, defaults=True, quiet=True)
    git("init", "--quiet", "--initial-branch=main", cwd=project)
    commit(project)
    added = {
        ".github/workflows/ci.yml": "      - run: ./smoke-test\n",
        "Dockerfile": "LABEL team=payments\n",
        "app/core/pagination.py": "\n# ours\n",
        "app/main.py": "\nWE = 'us'\n",
    }
    added = {path: text for path, text in added.items() if (project / path).exists()}
    for path, text in added.items():
        append(project / path, text)
    if (project / "compose.yaml").exists():
        added["compose.yaml"] = "  cache:\n    image: valkey/valkey:9\n"
        compose = project / "compose.yaml"
        services = f"{added['compose.yaml']}\nvolumes:\n"
        compose.write_text(compose.read_text().replace("\nvolumes:\n", services))
    if variant.examples:
        added |= edit_as_an_owner(project)
    commit(project)
    return added


def documented_command() -> str:
    """The block in the section of the README."""
    text = (TOP / "README.md").read_text()
    section = re.search(r"^## Fleets\n.*?^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    if not section:
        sys.exit("The README has no section on fleets.")
    return section[1]


def update(folder: Path) -> Iterator[tuple[str, float]]:
    """What the command printed for each service, and the seconds that it took."""
    started = time.perf_counter()
    with subprocess.Popen(
        ["bash", "-c", documented_command()],
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


def check(
    template: Path, project: Path, fresh: Path, variant: Variant, edited: dict[str, str]
) -> None:
    """What the owner wrote is there, and nothing else differs from a new rendering."""
    data = {**variant.answers, "project_name": project.name.replace("-", " ").title()}
    copier.run_copy(str(template), fresh, data, vcs_ref=WORK, defaults=True, quiet=True)
    git("init", "--quiet", cwd=fresh)
    found, expected = not_owned(project), not_owned(fresh)
    different = {path for path in {*found, *expected} if found.get(path) != expected.get(path)}
    assert different <= set(edited), f"{project.name}: {sorted(different - set(edited))}"
    for path, text in edited.items():
        assert text in (project / path).read_text(), f"{project.name}: {path}"
    assert git("status", "--porcelain", cwd=project) == "", f"{project.name} is not committed"
    assert git("branch", "--show-current", cwd=project).strip() == "template-update"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ |= ENVIRONMENT
        folder = Path(name, "services")
        template = tagged_clone(Path(name, "template"))
        kinds = list(itertools.islice(variants(), SERVICES))
        projects = [folder / f"service-{number}" for number in range(SERVICES)]
        edited = [
            create(template, project, kind, number)
            for number, (project, kind) in enumerate(zip(projects, kinds, strict=True))
        ]
        started = time.perf_counter()
        *lines, (summary, _) = update(folder)
        total = time.perf_counter() - started
        assert sorted(line for line, _ in lines) == sorted(f"updated {p.name}" for p in projects)
        assert summary.split() == [str(SERVICES), "updated"]
        for project, kind, texts in zip(projects, kinds, edited, strict=True):
            check(template, project, Path(name, "fresh", project.name), kind, texts)
        report([seconds for _, seconds in lines], total, len(set(kinds)))


def report(seconds: list[float], total: float, kinds: int) -> None:
    releases = ", ".join(RELEASES)
    print(f"{len(seconds)} services, {kinds} variants of {releases}: all updated, no conflict")
    slow = statistics.quantiles(seconds, n=10)[-1]
    median, slowest = statistics.median(seconds), max(seconds)
    print(f"seconds for each: median {median:.1f}, p90 {slow:.1f}, max {slowest:.1f}")
    print(f"seconds for all: {total:.0f}")


if __name__ == "__main__":
    main()
