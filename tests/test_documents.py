"""Whatever the documents name exists: files, tests, programs, their subcommands and options."""

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from tests.command_help import DOCUMENT, PRINT_HELP, documented, parse_help, with_help
from tests.conftest import Rendered
from tests.documents import documents
from tests.project import Virtualenv, run
from tests.projects import Projects
from tests.repository import DRIVERS, TOP

FILE_TYPES = "cfg|example|ini|lock|mako|md|py|toml|yaml|yml"
# Programs that are not called here, and why.
NOT_CALLED = {
    "cd": "a word of the shell",
    "copier": "tests/test_serving.py and tests/test_update.py do what it does",
    "curl": "needs a running service",
    "docker": "needs a running Docker",
    "export": "a word of the shell",
    "uvx": "fetches Copier, which the tests have",
}
# How many words name what is run, where it is more than one.
DEPTHS = {"alembic": 2, "app": 3, "fastapi": 2, "ruff": 2}
ROWS = {*range(1, 48)}


def commands(document: Path) -> Iterator[str]:
    """The commands of the shell blocks, one by one."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)
    for language, block in blocks:
        if block.startswith("for "):
            continue  # a program, which tests/test_fleet.py runs
        if language in {"bash", "sh", "shell", "console"}:
            for line in re.split(r"&&|\n", block.replace("\\\n", " ")):
                if command := re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ "):
                    yield command


def named_paths(document: Path) -> set[str]:
    """What stands in backticks or behind a link, and looks like a file or a folder."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    names = re.findall(r"`([^`\s]+)`", text) + re.findall(r"\]\(([^)\s#]+)", text)
    folder = r"\.?[\w*<>.-]+/[\w*<>./-]*"
    pattern = rf"(?:{folder}|[\w*.-]*\.(?:{FILE_TYPES}))(?:::\w+)?"
    return {name for name in names if re.fullmatch(pattern, name)}


def missing_paths(document: Path, *roots: Path) -> list[str]:
    missing = []
    for name in sorted(named_paths(document)):
        path, _, test = name.partition("::")
        # `<domain>` stands for a name that the reader chooses.
        pattern = re.sub(r"<[^>]*>", "*", path).rstrip("/")
        found = [file for root in (*roots, document.parent) for file in root.glob(pattern)]
        if not any(not test or f"def {test}(" in file.read_text() for file in found):
            missing.append(name)
    return missing


@pytest.mark.parametrize("driver", DRIVERS)
def test_files_and_tests_that_a_document_names_exist(projects: Projects, driver: str) -> None:
    project = projects.rendered(driver=driver)
    missing = [(file.name, missing_paths(file, project)) for file in documents(project)]
    assert [(name, paths) for name, paths in missing if paths] == []


def test_files_that_the_template_names_exist(projects: Projects) -> None:
    project = projects.rendered(driver="asyncpg")
    assert missing_paths(TOP / "README.md", TOP, project) == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_sections_that_a_document_links_to_exist(projects: Projects, driver: str) -> None:
    project = projects.rendered(driver=driver)
    links = [
        (file, link)
        for file in documents(project)
        for link in re.findall(r"\]\(([^)\s:]*#[^)\s]+)\)", file.read_text())
    ]
    assert len(links) >= 20
    assert [link for file, link in links if not leads_somewhere(file, link)] == []


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_catalogue_of_patterns_has_all_rows(projects: Projects, driver: str) -> None:
    project = projects.rendered(driver=driver)
    text = (project / "docs" / "patterns.md").read_text()
    rows = dict(re.findall(r"^\| *(\d+) *\|(.*)$", text, flags=re.MULTILINE))
    assert {int(number) for number in rows} >= ROWS
    unproven = [number for number, row in rows.items() if "::test_" not in row]
    assert unproven == []


def test_commands_that_a_rendering_names_exist(
    projects: Projects, rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    named: dict[str, str] = {}
    for driver in DRIVERS:
        for document in documents(projects.rendered(driver=driver)):
            named |= dict.fromkeys(commands(document), document.name)
    assert len(named) >= 5
    project = rendered(tmp_path / "project")
    variables = virtualenv(project)
    problems = [command_problems(project, command, variables) for command in named]
    assert [*chain.from_iterable(problems)] == []


def test_the_help_of_each_command_is_documented(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")
    program = tmp_path / "program.py"
    program.write_text(PRINT_HELP)
    printed = run(project, f"uv run python {program}", {**virtualenv(project), "PYTHONPATH": "."})
    help_of, document = parse_help(printed), (project / DOCUMENT).read_text()
    assert documented(document) == set(help_of)
    # Written by: uv run python -m tests.command_help PROJECT
    assert with_help(document, help_of) == document


def test_commands_that_the_template_names_exist(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    """Here, or in a rendering."""
    project = rendered(tmp_path / "project")
    variables = virtualenv(project)
    named = [command.replace(".tools/bin/", "") for command in commands(TOP / "README.md")]
    assert "uv run pytest" in named
    problems = [
        [*command_problems(TOP, command, {})] and [*command_problems(project, command, variables)]
        for command in named
    ]
    assert [problem for problem in problems if problem] == []


def command_problems(project: Path, command: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Asks the program for help on its subcommand, where all of the options must stand."""
    words = shlex.split(command)
    # The README's commands for another directory are run by tests/test_serving.py.
    if words[0] in NOT_CALLED or "--directory" in words:
        return
    if words[:2] != ["uv", "run"]:
        if not shutil.which(words[0]):
            yield f"`{command}`: there is no {words[0]}"
        return
    words = words[{"--group": 4, "--no-dev": 3}.get(words[2], 2) :]
    subcommands = [word for word in words if re.match(r"[a-z]", word)]
    asked = shlex.join(subcommands[: DEPTHS.get(words[0], 1)])
    try:
        text = help_on(asked, project, **variables)
    except AssertionError as error:
        yield f"`{command}`: {error}"
        return
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    yield from (f"`{command}`: no {option}" for option in options if option not in text)


@cache
def help_on(asked: str, project: Path, **variables: str) -> str:
    return run(project, f"uv run {asked} --help", {"COLUMNS": "300", "NO_COLOR": "1", **variables})
