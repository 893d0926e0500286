"""The lines of a new domain in `app/api.py`, and in the budgets of the routes."""

import ast
from collections.abc import Iterator

from app.core.command_line.new_domain.domain import Domain


def lines_for_api(domain: Domain, taken: set[str]) -> tuple[str, str]:
    """Return the import and the line below `router = APIRouter()`."""
    alias = f"{domain.name}_router" if domain.name in taken else domain.name
    imported = f"from app.domains.{domain.name}.router import router as {alias}"
    return imported, f"router.include_router({alias})"


def add_to_api(text: str, domain: Domain) -> str | None:
    """Return the file with the domain, or `None` if it has no `router = APIRouter()`.

    The line comes first: what the file says about the order of the others stays true.
    """
    body = ast.parse(text).body
    end = next((node.end_lineno for node in body if makes_router(node)), None)
    last_import = [node.end_lineno for node in body if isinstance(node, ast.ImportFrom)]
    if end is None or not last_import or (last_import[-1] or 0) > end:
        return None
    imported, included = lines_for_api(domain, {*names_in(ast.parse(text))})
    lines = text.splitlines()
    lines.insert(end, included)
    lines.insert(last_import[-1] or 0, imported)
    return "\n".join(lines) + "\n"


def makes_router(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        targets: list[ast.expr] = [node.target]
    elif isinstance(node, ast.Assign):
        targets = node.targets
    else:
        return False
    is_router = [ast.unparse(target) for target in targets] == ["router"]
    return is_router and isinstance(node.value, ast.Call)


def names_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def add_budgets(text: str, domain: Domain) -> str:
    """Return `tests/statements.txt` with the routes of the domain, in the order of the file."""
    lines = text.splitlines()
    comments = [line for line in lines if line.startswith("#") or not line.strip()]
    budgets = [line for line in lines if line not in comments]
    budgets += [
        f"{statements:12}  {round_trips:11}  {route}"
        for route, (statements, round_trips) in domain.budgets.items()
    ]
    ordered = sorted(budgets, key=lambda line: line.split()[2:][::-1])
    return "\n".join([*comments, *ordered]) + "\n"
