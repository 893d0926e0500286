"""The roles of compose.yaml, on real servers: one changes the tables, the other only their rows."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from tests.conftest import Rendered
from tests.documents import snippets
from tests.machine import real_mysql
from tests.project import Virtualenv, run
from tests.projects import Projects
from tests.servers import Servers, execute, written
from tests.test_serving import serving

SERVERS: dict[str, tuple[str, Callable[[], Path] | None]] = {
    "postgresql": ("asyncpg", None),
    "mariadb": ("aiomysql", None),
    "mysql": ("aiomysql", real_mysql),
}
FORBIDDEN = {
    "asyncpg": [
        "CREATE TABLE notes (id INTEGER)",
        "CREATE SCHEMA notes",
        "CREATE INDEX ix_notes ON users (full_name)",
        "ALTER TABLE users ADD notes INTEGER",
        "DROP TABLE orders",
        "TRUNCATE users",
        "SET ROLE migrator",
    ],
    "aiomysql": [
        "CREATE TABLE notes (id INTEGER)",
        "CREATE DATABASE notes",
        "CREATE INDEX ix_notes ON users (full_name)",
        "ALTER TABLE users ADD notes INTEGER",
        "DROP TABLE orders",
        "TRUNCATE users",
        "GRANT ALL ON app.* TO app",
    ],
}
REFUSED = re.compile("permission denied|must be owner|command denied|Access denied")
FORMER = """
CREATE ROLE former LOGIN;
ALTER DATABASE app OWNER TO former;
"""


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    """Servers that nobody else uses: roles belong to the whole server."""
    with ExitStack() as stack:
        yield Servers(stack)


def sql_of_compose(project: Path) -> str:
    content = yaml.safe_load((project / "compose.yaml").read_text())
    return str(content["configs"]["roles"]["content"])


def sql_of_documents(project: Path) -> list[str]:
    blocks = snippets(project / "docs" / "database.md", "sql")
    return [each.text for each in blocks if each.heading == "Roles"]


def split(sql: str) -> list[str]:
    return [statement for each in sql.split(";\n") if (statement := each.strip())]


def make_database(servers: Servers, driver: str, programs: Path | None) -> URL:
    server = servers.url(driver, programs)
    url = server.set(database="app")
    asyncio.run(servers.module(driver).create_database(url))
    if driver == "aiomysql" and programs is None:
        # Some installations of MariaDB begin with a nameless account, which wins on this machine.
        execute(url, ["DROP USER IF EXISTS ''@localhost, ''@'127.0.0.1'"])
    return url


def as_role(url: URL, name: str) -> URL:
    return url.set(username=name, password=name)


def use_rows(client: httpx.Client) -> None:
    """Create, read, change and delete rows, also many at once."""
    user = client.post("/users", json={"email": "ada@example.com", "full_name": "Ada"}).json()
    changed = client.patch(f"/users/{user['id']}", json={"full_name": "Ada Lovelace"})
    assert changed.status_code == 200, changed.text
    item = {"name": "Punched card", "quantity": 1, "price_cents": 150}
    lines = [json.dumps({"user_id": user["id"], "items": [item]})] * 3
    imported = client.post("/orders/import", content="\n".join(lines))
    assert imported.json()["inserted"] == 3, imported.text
    (order, *_) = client.get(f"/users/{user['id']}/orders").json()["orders"]
    assert client.delete(f"/orders/{order['id']}").status_code == 204
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("server", SERVERS)
def test_the_role_of_the_service_reads_and_writes_rows_and_changes_no_table(
    rendered: Rendered, own_servers: Servers, virtualenv: Virtualenv, tmp_path: Path, server: str
) -> None:
    driver, find_programs = SERVERS[server]
    project = rendered(tmp_path / "project", driver=driver)
    url = make_database(own_servers, driver, find_programs() if find_programs else None)
    execute(url, split(sql_of_compose(project)))
    variables = virtualenv(project) | {
        "DATABASE_URL": written(as_role(url, "app")),
        "DATABASE_MIGRATION_URL": written(as_role(url, "migrator")),
    }
    check_service(project, variables)
    for statement in FORBIDDEN[driver]:
        with pytest.raises(DBAPIError) as refused:
            execute(as_role(url, "app"), [statement])
        assert REFUSED.search(str(refused.value.orig)), statement


def check_service(project: Path, variables: Mapping[str, str]) -> None:
    run(project, "uv run alembic upgrade head", variables)
    run(project, "uv run alembic check", variables)
    with serving(project, variables) as service:
        use_rows(service.client)


def test_an_owner_of_older_tables_gives_them_away(
    rendered: Rendered, own_servers: Servers, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project", driver="asyncpg")
    url = make_database(own_servers, "asyncpg", None)
    execute(url, split(FORMER))
    former = {"DATABASE_URL": written(as_role(url, "former"))}
    variables = virtualenv(project)
    run(project, "uv run alembic upgrade head", variables | former)

    for sql in sql_of_documents(project):
        execute(url, split(sql))
    roles = {
        "DATABASE_URL": written(as_role(url, "app")),
        "DATABASE_MIGRATION_URL": written(as_role(url, "migrator")),
    }
    run(project, "uv run alembic downgrade base", variables | roles)
    check_service(project, variables | roles)


@pytest.mark.parametrize("driver", ["asyncpg", "aiomysql"])
def test_the_documents_and_the_defaults_have_the_roles_of_compose(
    projects: Projects, driver: str
) -> None:
    project = projects.rendered(driver=driver)
    schema = "--builtin-schema=vendor.compose-spec"
    run(project, f"{sys.executable} -m check_jsonschema {schema} compose.yaml")
    sql = sql_of_compose(project)
    assert sql_of_documents(project)[0] == sql
    code = (project / "app" / "core" / "driver.py").read_text()
    defaults = dict(re.findall(r'^DEFAULT_(\w*)URL = "(.+)"$', code, re.MULTILINE))
    assert defaults.keys() == {"", "MIGRATION_"}
    for name, role in (("", "app"), ("MIGRATION_", "migrator")):
        url = make_url(defaults[name])
        assert (url.username, url.password, url.database) == (role, role, "app")
        assert re.search(rf"CREATE (ROLE|USER) {role} .*'{role}';", sql)
