"""Find the models of all domains."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from app import domains


def import_models() -> None:
    """Import each domain's `models.py`. Alembic would drop tables whose models are missing."""
    for domain in iter_modules(domains.__path__, "app.domains."):
        if find_spec(f"{domain.name}.models") is not None:
            import_module(f"{domain.name}.models")
