"""What `copier copy` renders, from wherever the template is taken."""

import ast
import json
import re
import shlex
import tomllib
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import copier
import pytest
import yaml
from copier.errors import DirtyLocalWarning

from tests.conftest import Rendered
from tests.projects import Projects
from tests.repository import DRIVERS, TOP, WORK, commit, git
from tests.updates import files

pytestmark = pytest.mark.quick
SAMPLES = ("users", "posts", "orders", "accounts")
# Words that belong to one database only, in lower case.
WORDS = {
    "asyncpg": ("asyncpg", "postgres", "pgserver", "psycopg"),
    "aiomysql": ("aiomysql", "mysql", "mariadb", "innodb"),
    "aiosqlite": ("aiosqlite", "sqlite"),
}


def copy(source: str, to: Path, **options: str) -> dict[str, object]:
    """Copies without trust and returns the recorded answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(source, to, defaults=True, quiet=True, **options)  # type: ignore[arg-type]
    answers = yaml.safe_load((to / ".copier-answers.yml").read_text())
    assert isinstance(answers, dict)
    return answers


def test_a_git_url_can_be_copied(template: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", "--bare", str(template), str(tmp_path / "template.git"))
    answers = copy(f"file://{tmp_path / 'template.git'}", tmp_path / "project")
    assert answers["_commit"] == git("rev-parse", WORK, cwd=template).strip()
    assert (tmp_path / "project" / "app" / "main.py").exists()


def test_a_clone_without_tags_can_be_copied(template: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", "--no-tags", str(template), str(tmp_path / "clone"))
    answers = copy(str(tmp_path / "clone"), tmp_path / "project")
    assert answers["_commit"] == git("rev-parse", WORK, cwd=template).strip()


def test_a_clone_with_tags_renders_its_newest_release(template: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(template), str(tmp_path / "clone"))
    (tmp_path / "clone" / "template" / "later.txt").write_text("not released\n")
    commit(tmp_path / "clone")
    answers = copy(str(tmp_path / "clone"), tmp_path / "project")
    assert answers["_commit"] == git("rev-parse", WORK, cwd=template).strip()
    assert not (tmp_path / "project" / "later.txt").exists()


def test_uncommitted_work_is_rendered_where_there_are_no_tags(
    template: Path, tmp_path: Path
) -> None:
    git("clone", "--quiet", "--no-tags", str(template), str(tmp_path / "clone"))
    (tmp_path / "clone" / "template" / "draft.txt").write_text("not committed\n")
    copy(str(tmp_path / "clone"), tmp_path / "project")
    assert (tmp_path / "project" / "draft.txt").read_text() == "not committed\n"


def test_uncommitted_work_is_rendered_on_request(template: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(template), str(tmp_path / "clone"))
    (tmp_path / "clone" / "template" / "draft.txt").write_text("not committed\n")
    copy(str(tmp_path / "clone"), tmp_path / "project", vcs_ref="HEAD")
    assert (tmp_path / "project" / "draft.txt").read_text() == "not committed\n"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("order-desk", "Order Desk"),
        ("ordersAPI", "OrdersAPI"),
        ("été_2026", "Été 2026"),
        ("tmp8fk2", "My Service"),
        ("-", "My Service"),
        ("x" * 101, "My Service"),
    ],
)
def test_a_service_is_called_as_its_folder_unless_it_is_named(
    template: Path, tmp_path: Path, folder: str, name: str
) -> None:
    to = tmp_path / folder
    copied = copier.run_copy(str(template), to, vcs_ref=WORK, defaults=True, pretend=True)
    assert copied.answers.combined["project_name"] == name


def test_a_service_in_the_folder_of_the_caller_is_called_as_that(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "order-desk").mkdir()
    monkeypatch.chdir(tmp_path / "order-desk")
    assert copy(str(template), Path())["project_name"] == "Order Desk"


def test_a_service_does_not_have_the_name_of_a_package_that_it_needs(
    rendered: Rendered, tmp_path: Path
) -> None:
    """uv would not install it."""
    named = rendered(tmp_path / "named", project_name="FastAPI")
    other = rendered(tmp_path / "other", project_name="FastAPI 2")
    packages = (TOP / "template" / "_answers" / "packages.txt").read_text().split()
    needed = {name for driver in DRIVERS for name in requirements(rendered, tmp_path, driver)}
    assert [package_name(named), package_name(other)] == ["fastapi-service", "fastapi-2"]
    assert needed - {*packages} == set()


def requirements(rendered: Rendered, folder: Path, driver: str) -> Iterator[str]:
    project = rendered(folder / driver, driver=driver)
    tables = tomllib.loads((project / "pyproject.toml").read_text())
    for each in [*tables["project"]["dependencies"], *tables["dependency-groups"]["dev"]]:
        yield re.split(r"[^\w-]", each)[0]


def package_name(project: Path) -> str:
    return str(tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_message_names_the_next_commands(
    template: Path, tmp_path: Path, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "my project"
    copier.run_copy(str(template), project, data={"driver": driver}, vcs_ref=WORK, defaults=True)
    printed = capsys.readouterr().err
    message = printed[printed.index("is rendered. Next:") :]
    commands = re.findall(r"^ {4}(\S.*)$", message, flags=re.MULTILINE)
    start, test = ["docker compose up --detach --wait"], ["uv run pytest"]
    serve = ["uv run alembic upgrade head", "uv run fastapi dev"]
    assert shlex.split(commands[0]) == ["cd", str(project)]
    assert commands[1:] == (serve + test if driver == "aiosqlite" else start + serve)
    assert (project / "compose.yaml").exists() == (driver != "aiosqlite")
    assert "warning" not in printed.lower()


@pytest.mark.parametrize("examples", [True, False])
@pytest.mark.parametrize("driver", DRIVERS)
class TestRendering:
    def test_has_no_leftovers(self, projects: Projects, driver: str, examples: bool) -> None:
        project = projects.rendered(driver=driver, examples=examples)
        for path, file in files(project).items():
            text = file.read_text(encoding="utf-8")  # there is nothing binary
            # `${{ … }}` is GitHub's, and what is there is for `app new domain`.
            if not path.startswith("app/core/command_line/new_domain/"):
                assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), path
            # Copier and git would take it for a conflict.
            assert not re.search(r"^(<<<<<<<|>>>>>>>)", text, flags=re.MULTILINE), path
            assert text or file.name == "__init__.py", f"{path} is empty"
            assert "\r" not in text, path
            assert not text or text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert not re.search(r"[ \t]+$", text, flags=re.MULTILINE), path
        assert not any("jinja" in path or path.startswith("_") for path in files(project))

    def test_ignores_none_of_its_own_files(
        self, projects: Projects, driver: str, examples: bool
    ) -> None:
        project = projects.rendered(driver=driver, examples=examples)
        assert git("status", "--short", "--ignored", cwd=project) == ""
        assert git("ls-files", "--cached", "--ignored", "--exclude-standard", cwd=project) == ""

    def test_leaves_no_empty_folder(
        self, template: Path, tmp_path: Path, driver: str, examples: bool
    ) -> None:
        answers = {"driver": driver, "examples": examples}
        to = tmp_path / "project"
        copier.run_copy(str(template), to, data=answers, vcs_ref=WORK, defaults=True, quiet=True)
        folders = [path for path in to.rglob("*") if path.is_dir()]
        assert [path for path in folders if not any(path.iterdir())] == []

    def test_parses(self, projects: Projects, driver: str, examples: bool) -> None:
        project = projects.rendered(driver=driver, examples=examples)
        for file in files(project).values():
            parse(file)

    def test_knows_one_database(self, projects: Projects, driver: str, examples: bool) -> None:
        project = projects.rendered(driver=driver, examples=examples)
        foreign = [word for other in DRIVERS if other != driver for word in WORDS[other]]
        found = [
            f"{path}:{number}: {line.strip()}"
            for path, file in files(project).items()
            if not path.startswith(("docs/", "README")) and path != ".copier-answers.yml"
            for number, line in enumerate(of_one_database(path, file).splitlines(), start=1)
            if any(word in line.lower() for word in foreign)
        ]
        assert found == []

    def test_has_the_samples_it_was_asked_for(
        self, projects: Projects, driver: str, examples: bool
    ) -> None:
        project = projects.rendered(driver=driver, examples=examples)
        # The table for `app/core/idempotency.py`, whose tests are the template's.
        expected = {"app/domains": {*SAMPLES, "idempotency"}, "tests/domains": {*SAMPLES}}
        for folder, names in expected.items():
            domains = {path.name for path in (project / folder).iterdir() if path.is_dir()}
            assert domains == (names if examples else set())
        assert len(list((project / "migrations" / "versions").glob("*.py"))) == int(examples)
        sample = re.compile(rf"\bdomains[./]({'|'.join(SAMPLES)})\b")
        code = {
            path: file.read_text() for path, file in files(project).items() if "docs/" not in path
        }
        assert examples == any(sample.search(text) for text in code.values())


def test_a_sample_needs_no_other_but_users(projects: Projects) -> None:
    """So that an owner can delete each of them: its two folders, its line, its tables."""
    project = projects.rendered()
    needed = {
        (sample, name)
        for sample in SAMPLES
        for folder in ("app/domains", "tests/domains")
        for file in (project / folder / sample).glob("*.py")
        for name in re.findall(r"from (?:app|tests)\.domains\.(\w+)", file.read_text())
    }
    assert {(sample, name) for sample, name in needed if name not in {sample, "users"}} == set()


def of_one_database(path: str, file: Path) -> str:
    """The text without what copies data from one database to another, and must know them all."""
    text = file.read_text()
    if path == "pyproject.toml":
        return re.sub(r"^copy = \[.*?^\]$", "", text, flags=re.DOTALL | re.MULTILINE)
    return "" if path == "data_copy/databases.py" else text


def parse(file: Path) -> None:
    parsers: dict[str, Callable[[str], object]] = {
        ".py": ast.parse,
        ".toml": tomllib.loads,
        ".json": json.loads,
    }
    parsers |= dict.fromkeys((".yaml", ".yml"), yaml.safe_load)
    if file.suffix in parsers:
        parsers[file.suffix](file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "module", ["driver", "health_checks", "plans", "server", "server_facts", "sick_database"]
)
def test_all_drivers_offer_the_same_names(module: str) -> None:
    names = [exported(TOP / "template" / "_drivers" / name / f"{module}.py") for name in DRIVERS]
    assert all(first == second for first, second in pairwise(names))
    assert names[0]


def exported(module: Path) -> list[str]:
    for node in ast.parse(module.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return sorted(ast.literal_eval(value))
    raise AssertionError(f"{module} does not say what it exports")
