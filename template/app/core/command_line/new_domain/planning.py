"""From the words of the command line to a domain that can be written."""

from collections.abc import Sequence
from pathlib import Path

from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.new_domain.clashes import check_project
from app.core.command_line.new_domain.fields import parse_fields
from app.core.command_line.new_domain.names import (
    UnusableError,
    check_domain_name,
    check_name,
    singular_of,
)
from app.core.command_line.new_domain.parents import Parents, models_by_table
from app.core.models import Base

DEFAULT_FIELDS = ("name:str",)
LONGEST_CONSTRAINT = 63  # the least that a supported database allows


def plan(
    name: str,
    fields: Sequence[str],
    singular: str = "",
    *,
    soft_delete: bool = False,
    service: bool = False,
    root: Path,
) -> Domain:
    """Return the domain, or raise `UnusableError` or `ClashError`. Nothing is written."""
    check_domain_name(name)
    singular = singular or singular_of(name)
    check_name(singular, "a record")
    if singular == name:
        raise UnusableError(f"One record cannot be called {name!r}, as all of them: --singular.")
    domain = Domain(
        name,
        singular,
        parse_fields(
            fields or DEFAULT_FIELDS, singular, Parents(models_by_table(), root / "tests")
        ),
        soft_delete=soft_delete,
        service=service,
        once="idempotency_keys" in Base.metadata.tables,
    )
    check_constraints(domain)
    check_project(domain, root)
    return domain


def check_constraints(domain: Domain) -> None:
    """Raise `UnusableError` if the name of a constraint would be longer than databases allow."""
    for field in domain.fields:
        ending = "_is_live" if field.is_unique and domain.soft_delete else ""
        name = f"uq_{domain.name}_{field.name}{ending}"
        if field.is_constrained and len(name) > LONGEST_CONSTRAINT:
            raise UnusableError(
                f"{field.name!r} is too long for a constraint or an index of {domain.name}: its"
                f" name may have {LONGEST_CONSTRAINT} characters."
            )
