"""Write the files of a new domain: all of them, or none."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.new_domain.api import add_budgets, add_to_api
from app.core.command_line.new_domain.clashes import check_names, folders_of

TEMPLATES = Path(__file__).with_name("files")
CODE = ("models", "schemas", "repository", "router")
TESTS = ("factories", "test_router")


def files_of(domain: Domain, root: Path) -> dict[Path, str]:
    """Return the files of the domain that are new."""
    templates = Environment(  # noqa: S701 - it renders Python, and no HTML
        loader=FileSystemLoader(TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    folders = folders_of(domain.name, root)
    code = (*CODE, "service") if domain.service else CODE
    names = {folders["app"]: code, folders["tests"]: TESTS}
    files = {}
    for folder, modules in names.items():
        files[folder / "__init__.py"] = ""
        for module in modules:
            text = templates.get_template(f"{module}.py.txt").render(domain=domain)
            files[folder / f"{module}.py"] = text
    return files


def changes_of(domain: Domain, root: Path) -> dict[Path, str]:
    """Return the files of the project that the domain changes, with their new text."""
    changes = {}
    api, budgets = root / "app" / "api.py", root / "tests" / "statements.txt"
    if (changed := add_to_api(api.read_text(encoding="utf-8"), domain)) is not None:
        changes[api] = changed
    if budgets.exists():
        changes[budgets] = add_budgets(budgets.read_text(encoding="utf-8"), domain)
    return changes


@dataclass(frozen=True)
class Written:
    """The files that are new, and those of the project that were changed."""

    new: Sequence[Path]
    changed: Sequence[Path]
    is_formatted: bool
    is_in_api: bool


def write(domain: Domain, root: Path) -> Written:
    """Write the files, and format them if ruff is installed.

    Raise `UnusableError` before anything is written. After an error or an interruption later,
    everything is as before.
    """
    files, changes = files_of(domain, root), changes_of(domain, root)
    check_names(files)
    with all_or_nothing([*folders_of(domain.name, root).values()], [*changes]):
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for path, text in changes.items():
            path.write_text(text, encoding="utf-8")
        is_formatted = format_files([*files], [*changes], root)
    is_in_api = root / "app" / "api.py" in changes
    return Written([*files], [*changes], is_formatted, is_in_api)


@contextmanager
def all_or_nothing(folders: Sequence[Path], changed: Sequence[Path]) -> Iterator[None]:
    """Remove the folders, which are new, and restore the changed files if the body fails."""
    before = {path: path.read_bytes() for path in changed}
    try:
        yield
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for path, content in before.items():
            path.write_bytes(content)
        raise


def format_files(new: Sequence[Path], changed: Sequence[Path], root: Path) -> bool:
    """Sort imports, and in new files remove what is not used, and format. Return whether it ran.

    Raise `CalledProcessError` if ruff fails, because of its configuration for example.
    """
    if find_spec("ruff") is None:
        return False
    fix = ["check", "--fix", "--exit-zero"]
    run_ruff(*fix, "--select=F401,I", paths=new, root=root)
    run_ruff("format", paths=new, root=root)
    run_ruff(*fix, "--select=I", paths=changed, root=root)
    return True


def run_ruff(*arguments: str, paths: Sequence[Path], root: Path) -> None:
    python = [str(path) for path in paths if path.suffix == ".py"]
    if python:
        command = [sys.executable, "-m", "ruff", *arguments, "--quiet", *python]
        subprocess.run(command, check=True, cwd=root)  # noqa: S603 - the arguments are ours
