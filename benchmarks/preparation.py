"""Projects, their environments and databases: everything before the first request."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from benchmarks.baselines import rows
from benchmarks.copies import copy_database
from benchmarks.targets import Target
from tests.project import run
from tests.projects import Projects
from tests.repository import ENVIRONMENT, WORK, tagged_clone
from tests.servers import Servers, written

FOLDER = Path(__file__).with_name("baselines")
BASELINES = {"L0": "l0", "L1": "l1", "common": "common"}
OLD = "0.3.0"
UPDATED = f"{OLD}-updated"
SERVICES = ("service", OLD, UPDATED)
POOL_SIZE = 10
MOST_IDS = 10_000
UVICORN = ("-m", "uvicorn", "--port={port}", "--loop=uvloop", "--http=httptools")
VERSIONS = """
import importlib.metadata, json, platform, sys
found = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **found}))
"""
PACKAGES = ("sqlalchemy", "fastapi", "starlette", "pydantic", "uvicorn", "uvloop")


def render(folder: Path, driver: str, names: Sequence[str]) -> dict[str, Path]:
    """The files as they lie here, the old release, and what an update makes of that."""
    if not set(names) & set(SERVICES):
        return {}
    os.environ |= ENVIRONMENT
    template = folder / "template"
    projects = Projects(template if template.exists() else tagged_clone(template), folder)
    found: dict[str, Path] = {}
    if "service" in names:
        found["service"] = projects.rendered(WORK, driver=driver)
    if OLD in names:
        found[OLD] = projects.rendered(f"v{OLD}", driver=driver)
    if UPDATED in names:
        found[UPDATED] = projects.updated(projects.rendered(f"v{OLD}", driver=driver))
    return found


@dataclass(kw_only=True)
class TargetFactory:
    """Makes targets for one driver, each with a database of its own, and all with the same rows.

    The baselines run on the packages of `project`, and on its tables.
    """

    driver: str
    folder: Path
    servers: Servers
    project: Path
    users: int
    tables: Sequence[str]

    def __post_init__(self) -> None:
        self.python = self.install(self.project)
        step = max(1, self.users // MOST_IDS)
        self.ids = [str(rows.key("users", number)) for number in range(0, self.users, step)]

    def baselines(self, names: Sequence[str]) -> list[Target]:
        packages = self.folder / f"packages-{self.driver}"
        install = f"uv pip install --quiet --python {self.python} --target {packages} orjson"
        run(self.folder, install)
        options = [*UVICORN, "--no-access-log", "--log-level=warning", f"--app-dir={FOLDER}"]
        return [
            Target(
                name=name,
                command=[self.python, *options, f"{BASELINES[name]}:app"],
                folder=self.folder,
                url=url,
                variables=self.variables,
                ids=self.ids,
                packages=(packages,),
            )
            for name, url in zip(names, self.databases(self.project, len(names)), strict=True)
        ]

    def service(self, name: str, project: Path) -> Target:
        """As the project's Dockerfile starts it, with its defaults except for the database."""
        python = self.install(project)
        return Target(
            name=name,
            command=[python, *UVICORN, "app.main:app"],
            folder=project,
            url=self.databases(project, 1)[0],
            variables=self.variables,
            ids=self.ids,
            is_service=True,
        )

    def install(self, project: Path) -> str:
        """Returns the project's Python. What its environment has besides stays in it."""
        run(project, "uv sync --quiet --no-dev --inexact")
        return str(project / ".venv" / "bin" / "python")

    def databases(self, project: Path, count: int) -> list[URL]:
        """New ones. The project migrates the first of them, and the others are copies of it."""
        urls = [self.servers.create_database(self.driver) for _ in range(count)]
        if not urls:
            return urls
        arguments = f"{self.users} {','.join(self.tables)} {written(urls[0])}"
        command = f"{project}/.venv/bin/python {FOLDER}/fill_tables.py {arguments}"
        run(project, command, {"PYTHONPATH": str(project)})  # the script's folder comes first
        for url in urls[1:]:
            asyncio.run(copy_database(urls[0], url))
        return urls

    def variables(self, url: URL) -> Mapping[str, str]:
        return {
            "DATABASE_URL": written(url),
            "DATABASE_POOL_SIZE": str(POOL_SIZE),
            "LOG_JSON": "true",
            # For the baselines.
            "POOL_SIZE": str(POOL_SIZE),
            "DRIVER": self.driver,
        }

    def versions(self) -> dict[str, str]:
        """Of Python and the packages in the project's environment."""
        script = self.folder / "versions.py"
        script.write_text(VERSIONS)
        packages = " ".join((*PACKAGES, self.driver))
        found = run(self.folder, f"{self.python} {script} {packages}")
        versions: dict[str, str] = json.loads(found)
        return versions
