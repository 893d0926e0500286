"""The snippets of the documents: linted, type-checked and executed in a rendering."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.documents import documents, snippets
from tests.project import Virtualenv, run
from tests.repository import git
from tests.servers import Servers, written
from tests.test_serving import serving

DOMAIN, AROUND = "Add a domain", "Your own startup code, middleware and background work"
COMMANDS, SEEDS = "Your own commands", "app db seed"
REPEATED, IDEMPOTENCY_MODEL = "Requests that are repeated", "app/domains/idempotency/models.py"
# With the domain, and then with the code around the requests, these tests have more to look at.
OF_DOMAIN = "-n0 tests/domains/notes tests/core/test_rules.py"
CONCERNED = "-n0 tests/domains tests/core/test_rules.py tests/core/test_settings.py"
ORIGIN = "https://app.example.com"
REQUIRED = {"ALLOWED_ORIGINS": json.dumps([ORIGIN])}
# Run in the project: a note of last year, and whether it is still there.
WRITE_OLD_NOTE = """
import asyncio
from datetime import timedelta

from app.core.database import open_database
from app.core.models import utc_now
from app.domains.notes.models import Note
from app.settings import Settings


async def main():
    async with open_database(Settings()) as database, database.transaction() as session:
        session.add(Note(text="Buy milk.", created_at=utc_now() - timedelta(days=400)))


asyncio.run(main())
"""
COUNT_NOTES = """
import asyncio

from app.core.database import open_database
from app.domains.notes.repository import NoteRepository
from app.settings import Settings


async def main():
    async with open_database(Settings()) as database, database.read() as session:
        print("notes:", await NoteRepository(session).count())


asyncio.run(main())
"""


def write_files(project: Path, document: str, heading: str) -> set[str]:
    """Writes the files of a section as its reader would; returns their names."""
    path = project / document
    found = [each for each in (*snippets(path, "python"), *snippets(path, "ini")) if each.path]
    written_files = [each for each in found if each.heading == heading]
    for each in written_files:
        file = project / str(each.path)
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = file.read_text() if each.language == "ini" else ""
        file.write_text(kept + each.text)
    return {str(each.path) for each in written_files}


def check_statically(project: Path, variables: Mapping[str, str]) -> None:
    run(project, "uv run ruff check", variables)
    run(project, "uv run ruff format --check", variables)
    run(project, "uv run mypy", variables)


def run_program(project: Path, program: str, variables: Mapping[str, str]) -> str:
    file = project.parent / "program.py"
    file.write_text(program)
    return run(project, f"uv run python {file}", {**variables, **REQUIRED, "PYTHONPATH": "."})


def count_notes(project: Path, variables: Mapping[str, str]) -> int:
    return int(run_program(project, COUNT_NOTES, variables).rpartition("notes:")[2])


@pytest.mark.parametrize(
    ("driver", "examples"),
    [("asyncpg", True), ("aiomysql", False), ("aiosqlite", True)],
)
def test_a_domain_is_added_by_the_readme_and_code_around_the_requests_by_the_docs(
    rendered: Rendered,
    servers: Servers,
    virtualenv: Virtualenv,
    tmp_path: Path,
    driver: str,
    examples: bool,
) -> None:
    project = rendered(tmp_path / "project", driver=driver, examples=examples)
    variables = virtualenv(project) | {
        "DATABASE_URL": written(servers.create_database(driver)),
        "TEST_DATABASE_URL": written(servers.create_database(driver)),
    }
    run(project, "uv run alembic upgrade head", variables)  # as in the section "Run"
    add_the_domain(project, variables)
    add_commands_and_seeds(project, variables)
    add_code_around_the_requests(project, variables)


def add_commands_and_seeds(project: Path, variables: Mapping[str, str]) -> None:
    files = write_files(project, "docs/operations.md", COMMANDS)
    files |= write_files(project, "docs/operations.md", SEEDS)
    assert files == {"app/domains/notes/commands.py", "app/domains/notes/seed.py"}
    run(project, "uv run app db seed --notes 3", variables)
    run(project, 'uv run app notes write "Buy milk."', variables)
    assert count_notes(project, variables) == 4
    run(project, "uv run app db downgrade base", variables)
    run(project, "uv run app db upgrade", variables)


def add_the_domain(project: Path, variables: Mapping[str, str]) -> None:
    (block,) = [
        each.text for each in snippets(project / "README.md", "sh") if each.heading == DOMAIN
    ]
    *first, last = block.splitlines()
    for command in first:
        run(project, command, variables)
    assert last == "uv run pytest"
    run(project, f"{last} {OF_DOMAIN}", variables)
    check_statically(project, variables)
    run(project, "uv run alembic check", variables)
    run(project, "uv run alembic downgrade -1", variables)
    run(project, "uv run alembic upgrade head", variables)
    shown = [each for each in snippets(project / "README.md", "python") if each.heading == DOMAIN]
    assert len(shown) >= 4
    for each in shown:
        assert (project / str(each.path)).read_text() == each.text, each.path


def add_code_around_the_requests(project: Path, variables: Mapping[str, str]) -> None:
    files = write_files(project, "docs/operations.md", AROUND)
    assert {"app/main.py", "app/settings.py", ".env.example", "tests/settings.env"} <= files
    check_statically(project, variables)
    run(project, "uv run alembic upgrade head", variables)
    run(project, f"uv run pytest {CONCERNED}", variables)

    job = "uv run python -m app.domains.notes.cleanup"
    with pytest.raises(AssertionError, match="allowed_origins"):
        run(project, job, variables)
    run_program(project, WRITE_OLD_NOTE, variables)
    assert count_notes(project, variables) == 1
    run(project, job, {**variables, **REQUIRED})
    assert count_notes(project, variables) == 0

    run_program(project, WRITE_OLD_NOTE, variables)
    (project / ".env").write_text(f"ALLOWED_ORIGINS={REQUIRED['ALLOWED_ORIGINS']}\n")
    with serving(project, variables) as service:
        origin = {"Origin": ORIGIN}
        stored = service.client.post("/notes", json={"text": "Buy bread."}, headers=origin)
        refused = service.client.post("/notes", json={}, headers=origin)
        preflight = service.client.options(
            "/notes", headers={**origin, "Access-Control-Request-Method": "POST"}
        )
    assert [each.status_code for each in (stored, refused, preflight)] == [201, 422, 200]
    for each in (stored, refused, preflight):
        assert each.headers["access-control-allow-origin"] == ORIGIN
    assert stored.headers["x-request-id"]
    # The loop began with the service, and has deleted the old one.
    assert "Deleted 1 notes." in service.log()
    assert count_notes(project, variables) == 1


def test_the_table_of_the_docs_for_idempotency_keys_is_that_of_a_new_service(
    rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    assert write_files(project, "docs/patterns.md", REPEATED) == {IDEMPOTENCY_MODEL}
    assert git("status", "--porcelain", cwd=project) == ""


def test_each_snippet_that_is_a_file_is_in_a_section_that_is_tested(
    rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    tested = {
        ("README.md", DOMAIN),
        ("operations.md", AROUND),
        ("operations.md", COMMANDS),
        ("operations.md", SEEDS),
        ("patterns.md", REPEATED),
    }
    sections = {
        (each.document, each.heading)
        for document in documents(project)
        for language in ("python", "ini")
        for each in snippets(document, language)
        if each.path
    }
    assert sections == tested
