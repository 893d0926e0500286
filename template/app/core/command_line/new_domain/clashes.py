"""What keeps a new domain out of a project: names that are taken, and files that are there."""

import ast
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.new_domain.names import UnusableError
from app.core.models import Base
from app.core.registry import import_models


class ClashError(Exception):
    """The project already has what was to be written. The message says what."""


def check_project(domain: Domain, root: Path) -> None:
    """Raise `ClashError` if a folder, table, class or route of the domain is there already."""
    for folder in folders_of(domain.name, root).values():
        if folder.exists():
            raise ClashError(f"{folder.relative_to(root)} exists. Nothing is overwritten.")
    import_models()
    if domain.name in Base.metadata.tables:
        raise ClashError(f"There is a table {domain.name} already.")
    if domain.model in {mapper.class_.__name__ for mapper in Base.registry.mappers}:
        raise ClashError(f"There is a model {domain.model} already. Choose another --singular.")
    if domain.path.strip("/") in first_segments():
        raise ClashError(f"There are routes below {domain.path} already.")


def folders_of(name: str, root: Path) -> dict[str, Path]:
    """Return the folders of the code and of the tests of a domain."""
    return {"app": root / "app" / "domains" / name, "tests": root / "tests" / "domains" / name}


def first_segments() -> set[str]:
    """Return how the paths of the service begin, without the prefix that all of them may have."""
    found = set()
    for router in vars(import_module("app.api")).values():
        if isinstance(router, APIRouter):
            paths = [route.path or "" for route in iter_route_contexts(router.routes)]
            own = (path.removeprefix(router.prefix) for path in paths)
            found |= {path.lstrip("/").partition("/")[0] for path in own}
    return found


def check_names(files: Mapping[Path, str]) -> None:
    """Raise `UnusableError` if a name means two things in a file: the model `Limit`, say."""
    for path, text in files.items():
        body = ast.parse(text).body if path.suffix == ".py" else []
        names = Counter(name for name, _ in {each for node in body for each in names_of(node)})
        if taken := sorted(name for name, count in names.items() if count > 1):
            raise UnusableError(f"{taken[0]} is a name of the service. Choose another --singular.")


def names_of(node: ast.stmt) -> list[tuple[str, str]]:
    """Return the names that an import or a definition makes known, and where they come from."""
    if isinstance(node, ast.ImportFrom):
        return [(alias.asname or alias.name, str(node.module)) for alias in node.names]
    if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef | ast.FunctionDef):
        return [(node.name, "")]
    return []
