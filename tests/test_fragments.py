"""The snippets of the documents that are no whole file: linted, and executed in a rendering."""

import ast
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.documents import Snippet, documents, snippets
from tests.project import Virtualenv, run
from tests.projects import Projects
from tests.repository import DRIVERS
from tests.servers import Servers, rows_of, written

# What a fragment may do and a file may not: use names of the code around it.
OF_A_FRAGMENT = {
    "F704",  # `await` outside of a function
    "F706",  # `return` outside of a function
    "F821",  # an undefined name; it has to be one that the project knows
    "PLE1142",  # `await` outside of an asynchronous function
}
# Around the fragments of docs/patterns.md, by their headings: a test in the rendering.
PROGRAMS = {
    "Reads without records": """
from sqlalchemy import bindparam, select

from app.domains.orders.models import Order
from app.domains.orders.repository import OrderRepository
from app.domains.orders.schemas import OrderRead, OrderSummary
from tests.domains.orders.factories import create_order


async def test_it(database, session):
    stored = await create_order(session)
    order_id, user_id = stored.id, stored.user_id
    async with database.read() as reading:
        orders = OrderRepository(reading)
        # here
    assert (order.id, order.user_id) == (order_id, user_id)
    assert len(order.items) == 1
    assert [each.id for each in latest] == [order_id]
""",
    "A dependency that reads": """
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header

from app.core.database import DatabaseDep, SessionDep
from app.core.schemas import RequestModel, ResponseModel
from app.domains.users.models import User
from app.domains.users.repository import UserRepository
from tests.core.test_rules import endpoints, second_connections
from tests.domains.users.factories import create_user

router = APIRouter()


class NoteCreate(RequestModel):
    text: str


class NoteRead(ResponseModel):
    text: str


# here


async def test_it(database, session):
    user = await create_user(session)
    assert (await current_user(user.id, database)).id == user.id
    (endpoint,) = endpoints(router.routes).values()
    assert [each.name for each in endpoint.dependencies] == ["user", "session"]
    assert second_connections(endpoint) == []
""",
    "A new value of an enum": """
# here


async def test_it():
    assert [str(each) for each in OrderStatus] == ["pending", "paid"]
""",
    "Read, check, write": """
from app.domains.orders.repository import OrderRepository
from tests.domains.orders.factories import create_order


async def pay(session, order_id):
    # here


async def test_it(database, session):
    order = await create_order(session)
    async with database.transaction() as own:
        assert (await pay(own, order.id)).status == "paid"
""",
    "Requests that are repeated": """
from fastapi import APIRouter, Response
from httpx import ASGITransport, AsyncClient

from app.core.application import create_application
from app.core.database import DatabaseDep
from app.core.idempotency import OnceDep
from app.core.responses import problems
from app.core.settings import CoreSettings
from app.domains.accounts.models import Transfer
from app.domains.accounts.schemas import TransferCreate, TransferRead
from app.domains.accounts.service import AccountService
from tests.domains.accounts.factories import build_transfer, create_account

router = APIRouter()


# here


async def test_it(database, session):
    app = create_application(router, CoreSettings())
    app.state.database = database
    source, target = await create_account(session), await create_account(session)
    transfer, headers = build_transfer(source, target, 1), {"Idempotency-Key": "transfer-1"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        first, second = [
            await client.post("/transfers", json=transfer, headers=headers) for _ in range(2)
        ]
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
""",
}
ADD_INITIALS = """
def upgrade() -> None:
    op.add_column("users", sa.Column("initials", sa.String(length=10), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "initials")
"""
ADD_USER = """
import asyncio

from app.core.database import open_database
from app.core.settings import CoreSettings
from app.domains.users.models import User


async def main():
    async with open_database(CoreSettings()) as database, database.transaction() as session:
        session.add(User(email="ada@example.com", full_name="Ada Lovelace"))


asyncio.run(main())
"""

# The newest revision goes up and down, twice; the initials are what the first time makes of them.
UP_AND_DOWN = """
import asyncio

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from app.core.database import open_database
from app.core.settings import CoreSettings


async def print_initials():
    async with open_database(CoreSettings()) as database, database.read() as session:
        print("initials:", (await session.scalars(text("SELECT initials FROM users"))).one())


config = Config(toml_file="pyproject.toml")
command.upgrade(config, "head")
asyncio.run(print_initials())
command.downgrade(config, "-1")
asyncio.run(print_initials())
command.upgrade(config, "head")
command.downgrade(config, "-1")
"""


def fragments(project: Path) -> list[Snippet]:
    found = [each for file in documents(project) for each in snippets(file, "python")]
    return [each for each in found if each.path is None]


def is_revision(fragment: Snippet) -> bool:
    return "def upgrade()" in fragment.text


def known_names(project: Path) -> set[str]:
    """Whatever the code of the project, and the snippets that are files, call something."""
    code = [
        file.read_text() for top in ("app", "migrations", "tests") for file in python(project, top)
    ]
    code += [
        each.text for file in documents(project) for each in snippets(file, "python") if each.path
    ]
    names: set[str] = set()
    for node in (node for each in code for node in ast.walk(ast.parse(each))):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def python(project: Path, top: str) -> list[Path]:
    return sorted((project / top).rglob("*.py"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_fragments_are_formatted_and_have_only_names_of_the_project(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path, driver: str
) -> None:
    project = rendered(tmp_path / "project", driver=driver)
    variables = virtualenv(project)
    known = known_names(project)
    files = {}
    for number, fragment in enumerate(fragments(project)):
        folder = "migrations/versions" if is_revision(fragment) else "app/domains/users"
        files[str(project / folder / f"fragment_{number}.py")] = fragment
        (project / folder / f"fragment_{number}.py").write_text(fragment.text)
    assert len(files) >= 5
    run(project, "uv run ruff format --check", variables)
    found = json.loads(
        run(project, "uv run ruff check --exit-zero --output-format=json", variables)
    )
    problems = [
        f"{files[each['filename']]}: {each['code']} {each['message']}"
        for each in found
        if each["code"] not in OF_A_FRAGMENT
        or (each["code"] == "F821" and re.findall("`(.+)`", each["message"])[0] not in known)
    ]
    assert problems == []


def test_an_unknown_name_is_found(projects: Projects) -> None:
    known = known_names(projects.rendered())
    assert {"OrderSummary", "session", "op", "sa"} <= known
    assert "OrderSumary" not in known


def test_fragments_of_code_do_what_they_say(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    code = {each.heading: each for each in fragments(project) if not is_revision(each)}
    assert code.keys() == PROGRAMS.keys()
    for number, (heading, program) in enumerate(PROGRAMS.items()):
        (margin,) = re.findall("^( *)# here$", program, re.MULTILINE)
        fragment = textwrap.indent(code[heading].text.rstrip(), margin)
        file = project / "tests" / "domains" / "orders" / f"test_fragment_{number}.py"
        file.write_text(program.replace(f"{margin}# here", fragment))
    printed = run(
        project, "uv run pytest -n0 tests/domains/orders -k fragment", virtualenv(project)
    )
    assert f"{len(PROGRAMS)} passed" in printed


@pytest.mark.parametrize("driver", DRIVERS)
def test_revisions_in_the_documents_go_up_and_down(
    rendered: Rendered, servers: Servers, virtualenv: Virtualenv, tmp_path: Path, driver: str
) -> None:
    project = rendered(tmp_path / "project", driver=driver)
    database = servers.create_database(driver)
    variables = {**virtualenv(project), "DATABASE_URL": written(database), "PYTHONPATH": "."}
    run(project, "uv run alembic upgrade head", variables)
    for name, program in (("add_user.py", ADD_USER), ("up_and_down.py", UP_AND_DOWN)):
        (tmp_path / name).write_text(program)
    run(project, f"uv run python {tmp_path / 'add_user.py'}", variables)
    make_revision(project, ADD_INITIALS, variables)
    run(project, "uv run alembic upgrade head", variables)

    revisions = [each for each in fragments(project) if is_revision(each)]
    assert len(revisions) >= 3
    for each in revisions:
        file = make_revision(project, each.text, variables)
        printed = run(project, f"uv run python {tmp_path / 'up_and_down.py'}", variables)
        initials = "AL" if each.heading == "A migration of data" else None
        assert re.findall("^initials: (.*)$", printed, re.MULTILINE) == [str(initials), "None"]
        file.unlink()


@pytest.mark.parametrize("driver", ["asyncpg", "aiomysql"])
def test_the_queries_in_the_documents_are_answered(
    projects: Projects, servers: Servers, driver: str
) -> None:
    """Those that end a transaction need one."""
    project = projects.rendered(driver=driver)
    lines = [
        line
        for document in documents(project)
        for each in snippets(document, "sql")
        for line in each.text.splitlines()
    ]
    queries = [line for line in lines if line.startswith("SELECT") and "1234" not in line]
    assert queries
    for query in queries:
        rows_of(servers.url(driver), query)


def make_revision(project: Path, body: str, variables: Mapping[str, str]) -> Path:
    """An empty revision as Alembic makes it, with this instead of its two functions."""
    before = {*(project / "migrations" / "versions").glob("*.py")}
    run(project, f"uv run alembic revision -m 'Revision {len(before)}'", variables)
    (file,) = {*(project / "migrations" / "versions").glob("*.py")} - before
    head = file.read_text().partition("\n\ndef upgrade()")[0]
    file.write_text(f"{head}\n\n{body}")
    return file
