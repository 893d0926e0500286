"""What the plans, and the number of statements in a request, say about a service."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Table

from app.core.command_line.analyzing.plan_steps import Plan, Step
from app.core.command_line.analyzing.proposals import Proposal, propose
from app.core.command_line.analyzing.queries import Query, shorten
from app.core.command_line.analyzing.recordings import Statement

MOST_KEPT = 0.3  # if more of the rows match, an index does not help to find them

WHOLE = "reads all rows"
FULL_SCAN = "full scan"
JOIN = "join without index"
SORT = "sort without index"
REPEATED = "repeated statement"
FOREIGN_KEY = "foreign key without index"


@dataclass(frozen=True)
class Gain:
    """Costs are in the unit of the database, times in milliseconds, each before and after."""

    uses_index: bool
    costs: tuple[float, float] | None = None
    milliseconds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Finding:
    """`count` is the number of rows that are read or sorted, or of executions in one request."""

    problem: str
    count: int
    table: str | None = None
    statement: Statement | None = None
    routes: tuple[str, ...] = ()
    proposal: Proposal | None = None
    gain: Gain | str | None = None  # or why it was not proven


@dataclass(frozen=True)
class KnownTables:
    """The tables of the database, and how many rows they have. From `large` on that is many."""

    tables: Mapping[str, Table]
    sizes: Mapping[str, int]
    large: int

    def is_large(self, name: str) -> bool:
        return name in self.sizes and self.sizes[name] >= self.large


@dataclass(frozen=True)
class RouteCost:
    """The most statements that one request took, and how many of them were different."""

    route: str
    requests: int
    statements: int
    different: int


@dataclass
class Report:
    """What was found on the database with this address, which has no password."""

    address: str
    known: KnownTables
    assume_large: bool = False
    findings: list[Finding] = field(default_factory=list)
    routes: list[RouteCost] = field(default_factory=list)
    explained: int = 0
    used_indexes: set[str] = field(default_factory=set)
    unused_indexes: list[str] = field(default_factory=list)
    unexplained: dict[str, str] = field(default_factory=dict)  # statements, and the reasons

    @property
    def is_small(self) -> bool:
        """Whether no table is large, so that the plans say nothing about large tables."""
        return max(self.known.sizes.values(), default=0) < self.known.large


def judge(statement: Statement, query: Query, plan: Plan, known: KnownTables) -> Iterator[Finding]:
    """Find what the plan does with large tables."""
    names = [query.aliases.get(step.table or "", step.table or "") for step in plan.steps]
    for number, (step, name) in enumerate(zip(plan.steps, names, strict=True)):
        if step.kind == "scan" and known.is_large(name) and not is_bounded(step, query, plan):
            rows = known.sizes[name] if step.rows is None else int(step.rows)
            proposal = None
            if not matches_most(step, rows):
                proposal = propose(query, known.tables[name], names[:number])
            if rows >= known.large:
                problem = problem_of_scan(query, name, proposal)
                yield Finding(problem, rows, name, statement, proposal=proposal)
    yield from judge_sort(statement, query, plan, known)


def problem_of_scan(query: Query, table: str, proposal: Proposal | None) -> str:
    """Say whether there is nothing to select rows by, only rows of others, or any condition."""
    compared = [each.other for each in query.conditions if each.table == table]
    if proposal and not compared:
        return SORT
    if not query.has_where and not compared:
        return WHOLE
    return JOIN if proposal and all(compared) else FULL_SCAN


def judge_sort(
    statement: Statement, query: Query, plan: Plan, known: KnownTables
) -> Iterator[Finding]:
    """Find a sort by columns of one table. No index avoids others, such as of a count."""
    sort = next((step for step in plan.steps if step.kind == "sort"), None)
    names = {name for name, _ in query.order_by}
    if sort is None or len(names) != 1 or not known.is_large(name := names.pop()):
        return
    rows = sort.rows
    if rows is None and any(
        step.kind == "scan" and query.aliases.get(step.table or "") == name for step in plan.steps
    ):
        rows = known.sizes[name]
    proposal = propose(query, known.tables[name])
    if proposal is not None and rows is not None and rows >= known.large:
        yield Finding(SORT, int(rows), name, statement, proposal=proposal)


def is_bounded(step: Step, query: Query, plan: Plan) -> bool:
    """Whether it stops after some rows: the first ones of an index, or any."""
    if not query.has_limit or any(each.kind == "sort" for each in plan.steps):
        return False
    return step.index is not None or not query.conditions


def matches_most(step: Step, rows: int) -> bool:
    return step.kept is not None and step.kept > rows * MOST_KEPT


def find_repeated(statements: Iterable[Statement], at_least: int) -> list[Finding]:
    """Find statements that one request executes many times, the most of each route."""
    counts = Counter(
        (each.route, each.request, shorten(each.sql)) for each in statements if each.request
    )
    first = {(each.route, shorten(each.sql)): each for each in reversed(list(statements))}
    most: dict[tuple[str, str], int] = {}
    for (route, _, sql), count in counts.items():
        most[route, sql] = max(count, most.get((route, sql), 0))
    return [
        Finding(REPEATED, count, statement=first[key], routes=routes_of([first[key]]))
        for key, count in most.items()
        if count >= at_least
    ]


def routes_of(statements: Iterable[Statement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.route for each in statements if each.route))


def cost_of_routes(statements: Iterable[Statement]) -> list[RouteCost]:
    """Return what the most expensive request of each route took, the worst first."""
    requests: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in statements:
        if each.route and each.request:
            requests[each.route][each.request].append(shorten(each.sql))
    costs = [
        RouteCost(route, len(sent), len(worst), len(set(worst)))
        for route, sent in requests.items()
        for worst in [max(sent.values(), key=len)]
    ]
    return sorted(costs, key=lambda cost: (-cost.statements, cost.route))


def merge(findings: Sequence[Finding]) -> list[Finding]:
    """Join what has the same cause, with all its routes. What an index cures comes first."""
    merged: dict[object, Finding] = {}
    for each in with_longest_indexes(findings):
        text = shorten(each.statement.sql) if each.statement else ""
        key = each.proposal or (each.problem, each.table, text)
        other = merged.get(key, each)
        worst = max(other, each, key=lambda finding: (finding.statement is not None, finding.count))
        routes = tuple(dict.fromkeys((*other.routes, *each.routes)))
        merged[key] = replace(worst, routes=routes)
    return sorted(
        merged.values(),
        key=lambda each: (each.problem == REPEATED, each.proposal is None, -each.count),
    )


def with_longest_indexes(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Propose one index where one begins with the columns of another."""
    proposals = {each.proposal for each in findings if each.proposal}
    for each in findings:
        if (own := each.proposal) is None:
            yield each
            continue
        longer = (other for other in proposals if other.begins_with(own))
        yield replace(each, proposal=max(longer, key=lambda other: len(other.columns)))
