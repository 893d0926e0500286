"""The services of two other templates, made by their own generators, which uv fetches from PyPI.

They need Python 3.13 or 3.12 and a PostgreSQL server, nothing else: Redis, brokers and AI are
options not taken here. Pools, logs and packages are as shipped. Nothing is like W2 or W5. The
caveats say in what the others differ from ours.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.preparation import MOST_IDS
from benchmarks.targets import Server, Target, running
from benchmarks.workloads import WORKLOADS
from tests.machine import pythons
from tests.project import run
from tests.repository import ENVIRONMENT
from tests.servers import Servers

# Both refuse 3.11, and the migrations of fastapi-template fail on 3.14: no event loop.
PYTHONS = ((3, 13), (3, 12))
ACCOUNT = {"email": "admin@example.com", "password": "correct-horse-battery-1"}
SECRET = "0123456789abcdef0123456789abcdef"
OPTIONS = ("--port={port}", "--loop=uvloop", "--http=httptools")
MIDDLEWARE = "passes a `BaseHTTPMiddleware`, which gives each request an id, and CORS"
LOGIN = "verifies a JWT and reads the account behind it"


@dataclass(frozen=True, kw_only=True)
class Peer:
    name: str
    version: str
    generate: str
    project: str  # the folder that it makes
    settings: Mapping[str, str]  # {0} is the URL of the database
    migrate: str
    seeds: tuple[str, ...]  # {users} is how many
    application: tuple[str, ...]
    promote: str
    api: str
    login: str
    ids: str
    one: str
    many: str
    create: tuple[str, str, int]  # method, path, status
    caveats: Mapping[str, str]

    def variables(self, url: URL) -> dict[str, str]:
        return {name: value.format(url) for name, value in self.settings.items()}


FASTAPI_TEMPLATE = Peer(
    name="fastapi-template",
    version="6.1.2",
    # It asks questions in a terminal if it gets one way to log in without the other.
    generate="uv tool run --with uv --from fastapi-template=={version} fastapi_template --quiet"
    " --name peer --api-type rest --db postgresql --orm sqlalchemy --ci none"
    " --migrations --routers --dummy --add_users --jwt-auth --cookie-auth",
    project="peer",
    settings={
        "PEER_DB_HOST": "{0.host}",
        "PEER_DB_PORT": "{0.port}",
        "PEER_DB_USER": "{0.username}",
        "PEER_DB_BASE": "{0.database}",
        "USERS_SECRET": SECRET,
    },
    migrate="uv run alembic upgrade head",
    seeds=(
        'INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified)'
        " SELECT gen_random_uuid(), n || '@example.com', '', true, false, true"
        " FROM generate_series(1, {users}) AS n",
        "INSERT INTO dummy_model (name) SELECT 'Dummy ' || n FROM generate_series(1, {users}) AS n",
    ),
    application=("--factory", "peer.web.application:get_app"),
    promote="UPDATE \"user\" SET is_superuser = true WHERE email LIKE 'admin@%'",
    api="/api",
    login="/api/auth/jwt/login",
    ids='SELECT id FROM "user" ORDER BY id',
    one="/api/users/{id}",
    many="/api/dummy/?limit=50",
    create=("PUT", "/api/dummy/", 200),
    caveats={
        "W1": "verifies a JWT and reads the account behind it before the user: two queries in a"
        " transaction",
        "W3": "the first 50 rows, in no order, of a table of ids and names, without authentication",
        "W4": "a PUT on that table; answers `null`, before the commit",
        "W8": "answers `null`, from a thread",
    },
)
FASTAPI_FULLSTACK = Peer(
    name="fastapi-fullstack",
    version="0.2.21",
    generate="uv tool run fastapi-fullstack@{version} create peer --database postgresql"
    " --orm sqlalchemy --ai-framework none --frontend none --example-resource --no-logfire"
    " --no-docker --ci none --reverse-proxy none",
    project="peer/backend",
    settings={
        "POSTGRES_HOST": "{0.host}",
        "POSTGRES_PORT": "{0.port}",
        "POSTGRES_USER": "{0.username}",
        "POSTGRES_DB": "{0.database}",
        "SECRET_KEY": SECRET,
        "ACCESS_TOKEN_EXPIRE_MINUTES": "10080",  # as in its .env.example
    },
    migrate="uv run peer db upgrade",
    seeds=(
        "INSERT INTO users (email, full_name) SELECT n || '@example.com', 'User ' || n"
        " FROM generate_series(1, {users}) AS n",
        "INSERT INTO items (owner_id, name) SELECT id, 'Item of ' || full_name FROM users",
    ),
    application=("app.main:app",),
    promote="UPDATE users SET role = 'admin' WHERE email LIKE 'admin@%'",
    api="/api/v1",
    login="/api/v1/auth/login",
    ids="SELECT id FROM users ORDER BY id",
    one="/api/v1/users/{id}",
    many="/api/v1/users?page=1&size=50",
    create=("POST", "/api/v1/items", 201),
    caveats={
        "W1": f"{MIDDLEWARE}; {LOGIN}; two queries in a transaction",
        "W3": f"{MIDDLEWARE}; {LOGIN}; the first 50 users, in no order, and the number of all:"
        " three queries",
        "W4": f"{MIDDLEWARE}; {LOGIN}; adds an item to the account, reads it again, and answers"
        " before the commit",
        "W8": MIDDLEWARE,
    },
)


def peers(driver: str, folder: Path, servers: Servers, users: int) -> list[Target]:
    """Those on this driver, made in the folder, with so many rows in each of their tables."""
    if driver != "asyncpg":
        return []
    return [
        prepare(peer, folder / peer.name, servers.create_database(driver), users)
        for peer in (FASTAPI_TEMPLATE, FASTAPI_FULLSTACK)
    ]


def prepare(peer: Peer, folder: Path, url: URL, users: int) -> Target:
    python = {"UV_PYTHON": str(supported_python()), **ENVIRONMENT}
    project = folder / peer.project
    folder.mkdir()
    run(folder, peer.generate.format(version=peer.version), python)
    run(project, "uv sync --quiet", python)
    run(project, peer.migrate, {**python, **peer.variables(url)})
    execute(url, *(seed.format(users=users) for seed in peer.seeds), "VACUUM ANALYZE")
    target = as_target(peer, project, url)
    target = replace(target, ids=target.ids[:: max(1, users // MOST_IDS)])
    with running(target, folder, target.variables(url)) as server:
        return replace(target, headers={"Authorization": f"Bearer {token(peer, server)}"})


def as_target(peer: Peer, project: Path, url: URL) -> Target:
    method, create, status = peer.create
    asked = {"W1": peer.one, "W1-256": peer.one, "W4": create, "W8": f"{peer.api}/health"}
    asked |= {"W3": peer.many, "W3-first": peer.many}
    return Target(
        name=f"{peer.name}-{peer.version}",
        command=[str(project / ".venv" / "bin" / "uvicorn"), *OPTIONS, *peer.application],
        folder=project,
        url=url,
        variables=peer.variables,
        ids=execute(url, peer.ids),
        paths={**dict.fromkeys(WORKLOADS), **asked},
        methods={"W4": method},
        statuses={"W4": status},
        bodies={"W4": '{"name": "bench-{n}"}'},
        caveats=peer.caveats,
    )


def supported_python() -> Path:
    for version in PYTHONS:
        if version in pythons():
            return pythons()[version]
    raise SystemExit("The peers need Python 3.13 or 3.12: install one of them.")


def execute(url: URL, *statements: str) -> list[str]:
    """Each in a transaction of its own; returns the first column of what the last one found."""

    async def work() -> list[str]:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            found = [str(value) for value in result.scalars()] if result.returns_rows else []
        await engine.dispose()
        return found

    return asyncio.run(work())


def token(peer: Peer, server: Server) -> str:
    """Of an account that may read all: registered, promoted in the database, logged in."""
    form = {"username": ACCOUNT["email"], "password": ACCOUNT["password"]}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        client.post(f"{peer.api}/auth/register", json=ACCOUNT).raise_for_status()
        execute(server.target.url, peer.promote)
        answer = client.post(peer.login, data=form).raise_for_status()
    return str(answer.json()["access_token"])
