"""A service with samples on each database, ready to be started as in production."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.conftest import Rendered
from tests.faults.servers import DurableServers, ServerProcess
from tests.faults.service import Service, serving
from tests.machine import real_mysql
from tests.project import Virtualenv, run
from tests.servers import written

DATABASES = {
    "postgresql": ("asyncpg", None),
    "mariadb": ("aiomysql", None),
    "mysql": ("aiomysql", real_mysql),
    "sqlite": ("aiosqlite", None),
}
SERVERS = ("postgresql", "mariadb", "mysql")

# pytest's `record_property`: the summary at the end prints it.
Record = Callable[[str, object], None]

on_servers = pytest.mark.parametrize("stage", SERVERS, indirect=True)
on_all = pytest.mark.parametrize("stage", DATABASES, indirect=True)


@dataclass
class Stage:
    """A project with its environment, and a database that has its tables."""

    name: str
    driver: str
    project: Path
    variables: dict[str, str]
    url: URL
    servers: DurableServers

    def serving(
        self, url: URL | None = None, **settings: str
    ) -> AbstractAsyncContextManager[Service]:
        return serving(self.project, self.variables, url or self.url, **settings)

    def server(self) -> ServerProcess:
        return self.servers.process(self.driver, self.url)

    def new_database(self, servers: DurableServers | None = None) -> URL:
        """An empty one on the same server, or on one of these."""
        programs = DATABASES[self.name][1]
        servers = servers or self.servers
        return servers.create_database(self.driver, programs() if programs else None)

    def at(self, port: int) -> URL:
        """The same database by another port."""
        return self.url.set(port=port)


@pytest.fixture(scope="session")
def durable_servers() -> Iterator[DurableServers]:
    with ExitStack() as stack:
        yield DurableServers(stack)


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    rendered: Rendered,
    virtualenv: Virtualenv,
    durable_servers: DurableServers,
    tmp_path: Path,
) -> Stage:
    name = request.param
    driver, programs = DATABASES[name]
    project = rendered(tmp_path / "project", driver=driver)
    url = durable_servers.create_database(driver, programs() if programs else None)
    variables = virtualenv(project)
    run(project, "uv run alembic upgrade head", variables | {"DATABASE_URL": written(url)})
    return Stage(name, driver, project, variables, url, durable_servers)
