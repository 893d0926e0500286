"""What keeps a new domain out of a project: names that are taken, and files that are there."""

import ast
from collections.abc import Mapping
from pathlib import Path

from fastapi.routing import iter_route_contexts

from app.core.command_line.domain import Domain
from app.core.command_line.domain_names import UnusableError
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
    from app.api import router

    paths = [route.path or "" for route in iter_route_contexts(router.routes)]
    return {path.removeprefix(router.prefix).lstrip("/").partition("/")[0] for path in paths}


def check_names(files: Mapping[Path, str]) -> None:
    """Raise `UnusableError` if a file defines what it also imports: the model `Limit`, say."""
    for path, text in files.items():
        if path.suffix != ".py":
            continue
        body = ast.parse(text).body
        imported = {
            alias.asname or alias.name
            for node in body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        defined = {node.name for node in body if isinstance(node, ast.ClassDef)}
        if names := sorted(imported & defined):
            raise UnusableError(f"{names[0]} is a name of the service. Choose another --singular.")
