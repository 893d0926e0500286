"""`app data copy` between real databases, each migrated, filled and read by its own rendering."""

import itertools
import re
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.project import UV, environment, run
from tests.repository import DRIVERS, TOP
from tests.servers import Servers, written

MUSEUM = TOP / "tests" / "museum"
REVISION = "add_the_museum.py"
SECRET = "s3cret"


class Service:
    """A rendering with the museum, and new databases for it."""

    def __init__(self, driver: str, project: Path, servers: Servers) -> None:
        self.driver = driver
        self.project = project
        self.servers = servers
        domain = project / "app" / "domains" / "museum"
        shutil.copytree(MUSEUM, domain, ignore=shutil.ignore_patterns(REVISION, "__pycache__"))
        shutil.copy(MUSEUM / REVISION, project / "migrations" / "versions")
        run(project, "uv sync --quiet --group copy")

    def database(self) -> str:
        """The URL of a new one, with its tables."""
        url = written(self.servers.create_database(self.driver))
        run(self.project, "uv run --group copy alembic upgrade head", {"DATABASE_URL": url})
        return url

    def call(self, url: str, program: str) -> str:
        module = f"app.domains.museum.{program}"
        return run(self.project, f"uv run --group copy python -m {module}", {"DATABASE_URL": url})

    def copy(self, source: str, target: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [UV, "run", "--group", "copy", "app", "data", "copy", *options]
        return subprocess.run(
            [*command, "--from", source, "--to", target],
            cwd=self.project,
            env=environment({}),
            check=False,
            capture_output=True,
            text=True,
        )


Services = Callable[[str], Service]


@pytest.fixture(scope="session")
def service(
    rendered: Rendered, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Services:
    made: dict[str, Service] = {}

    def make(driver: str) -> Service:
        if driver not in made:
            project = rendered(tmp_path_factory.mktemp("copy") / "project", driver=driver)
            made[driver] = Service(driver, project, servers)
        return made[driver]

    return make


def filled(service: Services, program: str) -> Callable[[str], str]:
    """For a driver, the URL of a database with rows in it: a copy does not change it."""

    @cache
    def fill(driver: str) -> str:
        url = service(driver).database()
        service(driver).call(url, program)
        return url

    return fill


@pytest.fixture(scope="session")
def source(service: Services) -> Callable[[str], str]:
    return filled(service, "fill")


@pytest.fixture(scope="session")
def large_source(service: Services) -> Callable[[str], str]:
    """One whose copy takes more than a second."""
    return filled(service, "fill 20000")


@pytest.mark.parametrize(("old", "new"), list(itertools.product(DRIVERS, DRIVERS)))
def test_a_copy_equals_its_source(
    service: Services, source: Callable[[str], str], old: str, new: str
) -> None:
    target = service(new).database()

    copied = service(new).copy(source(old), target)

    assert copied.returncode == 0, copied.stderr
    expected = service(old).call(source(old), "dump")
    assert service(new).call(target, "dump") == expected
    assert expected.count("\n") > 300
    assert re.search(r"^ *people +60 +[0-9a-f]{32}", copied.stdout, flags=re.MULTILINE)
    service(new).call(target, "add")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("driver", DRIVERS)
def test_an_interrupted_copy_can_be_completed(
    service: Services, large_source: Callable[[str], str], driver: str, ending: signal.Signals
) -> None:
    old, new = service(DRIVERS[DRIVERS.index(driver) - 1]), service(driver)
    source, target = large_source(old.driver), new.database()
    arguments = ["data", "copy", "--from", source, "--to", target]
    with subprocess.Popen(
        [new.project / ".venv" / "bin" / "app", *arguments],
        cwd=new.project,
        env=environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "copy countries: 5 rows\n"
        process.send_signal(ending)
        message = process.stderr.read()
    refused = new.copy(source, target)
    completed = new.copy(source, target, "--resume")

    assert process.returncode == (-ending if ending == signal.SIGKILL else 130)
    assert (message.endswith("Run the same command with --resume to continue.\n")) == (
        ending == signal.SIGINT
    )
    assert "Traceback" not in message
    assert refused.returncode == 1
    assert "countries" in refused.stderr
    assert completed.returncode == 0, completed.stderr
    assert new.call(target, "dump") == old.call(source, "dump")


@pytest.mark.parametrize(
    ("old", "new", "column", "reason"),
    [
        ("aiosqlite", "asyncpg", "story", "specimens cannot be written: invalid byte sequence"),
        ("aiomysql", "asyncpg", "story", "specimens cannot be written: invalid byte sequence"),
        ("asyncpg", "aiosqlite", "value", "specimens (values were changed)"),
        ("aiomysql", "aiosqlite", "value", "specimens (values were changed)"),
        ("asyncpg", "aiosqlite", "weight", "specimens (values were changed)"),
        ("asyncpg", "aiomysql", "weight", "specimens cannot be written: nan can not be used"),
    ],
)
def test_a_value_that_the_target_cannot_store_is_an_error(
    service: Services, old: str, new: str, column: str, reason: str
) -> None:
    source, target = service(old).database(), service(new).database()
    service(old).call(source, f"add_extreme {column}")

    copied = service(new).copy(source, target)

    assert copied.returncode == 1
    assert reason in copied.stderr
    assert "Traceback" not in copied.stderr


@pytest.mark.parametrize("driver", ["asyncpg", "aiomysql"])
def test_a_refused_password_is_not_printed(
    service: Services, source: Callable[[str], str], driver: str
) -> None:
    """The other side has none: it is a file."""
    url = service(driver).servers.url(driver).set(password=SECRET, username="nobody", database="x")

    copied = service(driver).copy(written(url), source("aiosqlite"))

    assert copied.returncode == 1
    assert copied.stderr.startswith("The source cannot be reached: ")
    assert SECRET not in copied.stdout + copied.stderr


def test_without_the_group_the_command_says_what_to_run(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project")
    other = "postgresql+asyncpg://user:s3cret@127.0.0.1/name"
    run(project, "uv run alembic upgrade head")

    with pytest.raises(AssertionError, match="needs the package asyncpg: uv run --group copy app"):
        run(project, f"uv run app data copy --from sqlite+aiosqlite:///app.db --to {other}")


def test_the_image_has_none_of_it_and_says_so(rendered: Rendered, tmp_path: Path) -> None:
    project, image = rendered(tmp_path / "project"), tmp_path / "image"
    dockerfile = (project / "Dockerfile").read_text()
    for path in re.findall(r"^COPY (\w\S*) \S+$", dockerfile, flags=re.MULTILINE):
        copy = shutil.copytree if (project / path).is_dir() else shutil.copy
        image.mkdir(exist_ok=True)
        copy(project / path, image / path)
    run(project, "uv sync --quiet --no-dev --no-install-project")
    python = project / ".venv" / "bin" / "python"

    with pytest.raises(AssertionError, match=":\nThe folder data_copy is not here: run this in"):
        run(image, f"{python} -m app.core.commands data copy --from a --to b")

    assert {path.name for path in image.iterdir()} == {"app", "migrations", "pyproject.toml"}
    run(image, f"{python} -c 'import app.main'")


def test_the_wheel_has_none_of_it(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project")
    run(project, "uv build --quiet --wheel")
    (wheel,) = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"app", next(name for name in folders if name.endswith(".dist-info"))}
