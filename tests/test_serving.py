"""A newcomer's first minutes: migrate, start, look whether it answers."""

import os
import pty
import re
import select
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import Rendered
from tests.documents import snippets
from tests.project import Virtualenv, arguments, environment, free_port, run, stop
from tests.repository import git

STARTUP_SECONDS = 60
# A port where nothing listens.
DOWN = {
    "asyncpg": "postgresql+asyncpg://user:secret@127.0.0.1:1/service",
    "aiomysql": "mysql+aiomysql://user:secret@127.0.0.1:1/service",
}
COMMANDS = ("uv run fastapi run --port {port}", "uv run uvicorn app.main:app --port {port}")


@dataclass
class Service:
    client: httpx.Client
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text()


@contextmanager
def serving(
    project: Path, variables: Mapping[str, str], command: str = COMMANDS[0]
) -> Iterator[Service]:
    """Waits until the process is alive, whatever its database does."""
    port = free_port()
    log = project.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            arguments(command.format(port=port)),
            cwd=project,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        try:
            wait_until_alive(client, process, log)
            yield Service(client, log)
        finally:
            process.terminate()


def wait_until_alive(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/health/live")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"The service does not answer:\n{log.read_text()}")


def test_the_first_command_of_the_readme_serves_a_service(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(template), str(clone))
    block = (clone / "README.md").read_text().split("```sh\n")[1].split("```")[0]
    prepare, serve = block.strip().rsplit(" &&\n", maxsplit=1)
    run(clone, f"bash -c {shlex.quote(prepare)}")
    with serving(clone, {}, f"{serve} --port {{port}}") as service:
        assert service.client.get("/health/ready").status_code == 200
        assert service.client.get("/users").json() == {"items": [], "next": None}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_migrated_service_answers(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path, command: str
) -> None:
    project = rendered(tmp_path / "project")
    settings = virtualenv(project)
    run(project, "uv run alembic upgrade head", settings)
    with serving(project, settings, command) as service:
        client = service.client
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200
        person = {"email": "ada@example.com", "full_name": "Ada Lovelace"}
        created = client.post("/users", json=person)
        assert created.status_code == 201, created.text
        read = client.get(f"/users/{created.json()['id']}")
        assert read.json() == created.json()
        assert read.json()["email"] == "ada@example.com"
        assert client.get("/docs").status_code == 200


def test_a_service_without_docker_runs_by_the_commands_of_its_readme(
    rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    variables = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")}
    deploy = [each for each in snippets(project / "README.md", "sh") if each.heading == "Deploy"]
    export, install, migrate, serve = deploy[-1].text.splitlines()
    variables |= dict(each.split("=") for each in export.removeprefix("export ").split())
    run(project, install, variables)
    run(project, migrate, variables)
    assert "--host 0.0.0.0 --port 8000 " in serve
    with serving(project, variables, serve.replace("8000", "{port}")) as service:
        assert service.client.get("/health/ready").status_code == 200
        assert service.client.get("/users").status_code == 400
        named = {"Host": variables["ALLOWED_HOSTS"]}
        assert service.client.get("/users", headers=named).status_code == 200
        assert service.client.get("/docs", headers=named).status_code == 404


def test_an_empty_service_answers(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project", examples=False)
    settings = virtualenv(project)
    run(project, "uv run alembic upgrade head", settings)
    with serving(project, settings) as service:
        assert service.client.get("/health/ready").status_code == 200
        assert set(service.client.get("/openapi.json").json()["paths"]) == {
            "/health/live",
            "/health/ready",
        }


def test_a_service_without_its_tables_is_alive_and_says_what_to_run(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    with serving(project, virtualenv(project)) as service:
        assert service.client.get("/health/live").status_code == 200
        assert service.client.get("/health/ready").status_code == 503
        assert "app db upgrade" in service.log()


def test_the_log_is_for_people_in_a_terminal_under_the_reloader(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    variables = {"NO_COLOR": "", "FORCE_COLOR": "", **virtualenv(project)}
    terminal, of_the_program = pty.openpty()
    with subprocess.Popen(
        arguments(f"uv run fastapi dev --port {free_port()}"),
        cwd=project,
        env=environment(variables),
        stdin=of_the_program,
        stdout=of_the_program,
        stderr=of_the_program,
        start_new_session=True,
    ) as process:
        try:
            line = read_line_with(terminal, b"Not ready: The database is at revision none")
        finally:
            stop(process)
            os.close(terminal)
            os.close(of_the_program)
    assert b"\x1b[" in line
    assert b'"event"' not in line


def read_line_with(terminal: int, text: bytes) -> bytes:
    """Waits for the line that has the text, and returns it."""
    deadline = time.monotonic() + STARTUP_SECONDS
    printed = b""
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            printed += os.read(terminal, 4096)
        for line in printed.splitlines(keepends=True):
            if text in line and line.endswith(b"\n"):
                return line
    pytest.fail(f"Not printed: {text!r}, but:\n{printed.decode()}")


@pytest.mark.parametrize("driver", DOWN)
def test_a_service_without_its_database_is_alive_and_says_what_to_do(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path, driver: str
) -> None:
    project = rendered(tmp_path / "project", driver=driver)
    with serving(project, {**virtualenv(project), "DATABASE_URL": DOWN[driver]}) as service:
        assert service.client.get("/health/live").status_code == 200
        assert service.client.get("/health/ready").status_code == 503
        assert re.search("docker compose up|DATABASE_URL", service.log())
        assert "secret" not in service.log()


def test_a_service_can_be_installed_with_pip(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project")
    run(project, "uv venv --seed plain")
    run(project, "plain/bin/python -m pip install --quiet --editable .")
    run(project, "plain/bin/alembic upgrade head")
    run(project, "plain/bin/python -c 'from app.main import app; assert app.routes'")
