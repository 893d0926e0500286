"""What the plans of all databases have in common."""

from dataclasses import dataclass
from typing import Any, Literal


class UnexplainedError(Exception):
    """The database cannot explain the statement. The message says why."""


@dataclass(frozen=True)
class Step:
    """One step of a plan. `rows` and `kept` are estimates; `None` is unknown.

    A `scan` reads all of a table, or of an index, a `search` finds rows by an index, and a `sort`
    orders rows that no index has in order. `table` may be an alias of the statement.
    """

    kind: Literal["scan", "search", "sort"]
    table: str | None = None
    index: str | None = None
    rows: float | None = None  # that are read
    kept: float | None = None  # of those, the ones that match
    could_search: bool = False  # with more rows, it would use an index


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]
    cost: float | None = None  # in the database's own unit


Parameters = tuple[Any, ...] | None  # `None`: the values are unknown
