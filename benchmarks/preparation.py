"""Projects, their environments and databases: everything before the first request."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy.engine import URL

from benchmarks.ladder import rows
from benchmarks.targets import Target
from tests.project import run
from tests.projects import Projects
from tests.repository import ENVIRONMENT, WORK, tagged_clone
from tests.servers import Servers, written

LADDER = Path(__file__).with_name("ladder")
RUNGS = {"L0": "l0", "L1": "l1", "common": "common"}
OLD = "0.3.0"
UPDATED = f"{OLD}-updated"
SERVICES = ("service", OLD, UPDATED)
POOL_SIZE = 10
UVICORN = ("-m", "uvicorn", "--port={port}", "--loop=uvloop", "--http=httptools")
VERSIONS = """
import importlib.metadata, json, platform, sys
found = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **found}))
"""
PACKAGES = ("sqlalchemy", "fastapi", "starlette", "pydantic", "uvicorn")


def render(folder: Path, driver: str, names: Sequence[str]) -> dict[str, Path]:
    """The files as they lie here, the old release, and what an update makes of that."""
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


class Workshop:
    """Makes targets for one driver, each with a database of its own, and all with the same rows."""

    def __init__(
        self, driver: str, folder: Path, servers: Servers, *, users: int, tables: Sequence[str]
    ) -> None:
        self.driver = driver
        self.folder = folder
        self.servers = servers
        self.users = users
        self.tables = tables
        self.ids = [str(rows.key("users", number)) for number in range(users)]
        self.environment = folder / f"ladder-{driver}"

    def ladder(self, names: Sequence[str], project: Path) -> list[Target]:
        """On the packages of the project, and on its tables."""
        variables = {"UV_PROJECT_ENVIRONMENT": str(self.environment)}
        run(project, "uv sync --quiet --no-dev", variables)
        run(project, f"uv pip install --quiet --python {self.environment} orjson")
        python = str(self.environment / "bin" / "python")
        options = [*UVICORN, "--no-access-log", "--log-level=warning", f"--app-dir={LADDER}"]
        return [
            Target(
                name=name,
                command=[python, *options, f"{RUNGS[name]}:app"],
                folder=self.folder,
                url=url,
                variables=self.variables,
                ids=self.ids,
            )
            for name, url in zip(names, self.databases(project, len(names)), strict=True)
        ]

    def service(self, name: str, project: Path) -> Target:
        """As the project's Dockerfile starts it, with its defaults except for the database."""
        run(project, "uv sync --quiet --no-dev --inexact")
        return Target(
            name=name,
            command=[str(project / ".venv" / "bin" / "python"), *UVICORN, "app.main:app"],
            folder=project,
            url=self.databases(project, 1)[0],
            variables=self.variables,
            ids=self.ids,
            is_service=True,
        )

    def databases(self, project: Path, count: int) -> list[URL]:
        """New ones, which the project migrates."""
        urls = [self.servers.create_database(self.driver) for _ in range(count)]
        python, script = project / ".venv" / "bin" / "python", LADDER / "fill_tables.py"
        arguments = [str(self.users), ",".join(self.tables), *map(written, urls)]
        # The script imports `app`, and its own folder comes first on the path.
        run(project, f"{python} {script} {' '.join(arguments)}", {"PYTHONPATH": str(project)})
        return urls

    def variables(self, url: URL) -> Mapping[str, str]:
        return {
            "DATABASE_URL": written(url),
            "DATABASE_POOL_SIZE": str(POOL_SIZE),
            "LOG_JSON": "true",
            "POOL_SIZE": str(POOL_SIZE),
            "DRIVER": self.driver,
        }

    def versions(self) -> dict[str, str]:
        """Of the packages that the ladder runs on."""
        python = self.environment / "bin" / "python"
        script = self.folder / "versions.py"
        script.write_text(VERSIONS)
        command = f"{python} {script} {' '.join((*PACKAGES, self.driver))}"
        found: dict[str, str] = json.loads(run(self.folder, command))
        return found
