"""Statements that were recorded: by the tests, or in the log of the service."""

import ast
import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.command_line.analyzing.plan_steps import Parameters
from app.core.statement_endpoint import find_route, recorded_line

STATEMENTS_FILE = "TEST_STATEMENTS_FILE"  # names the file to which the tests append
FIELDS = {"route", "request", "statement", "parameters"}
ENGINE_LOGGER = "sqlalchemy.engine.Engine"
EXPLAINED = re.compile(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT|REPLACE)\b", re.IGNORECASE)
ONLY_READS = re.compile(r"\s*SELECT\b", re.IGNORECASE)
LOCKS = re.compile(
    r"\bFOR\s+(?:NO KEY )?(?:UPDATE|SHARE|KEY)|\bLOCK IN SHARE|\bINTO\b", re.IGNORECASE
)
STATISTICS = re.compile(r"\[(?:generated in|cached since|no key|raw sql)[^\]]*\] (.*)", re.DOTALL)
CONSTRUCTORS: dict[str, Any] = {
    "UUID": UUID,
    "Decimal": Decimal,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
}


@dataclass(frozen=True)
class Statement:
    """A statement in the SQL of the driver. `request` identifies the request that sent it."""

    sql: str
    parameters: Parameters = None
    route: str = ""
    request: str = ""

    @property
    def is_query(self) -> bool:
        """Whether it only reads: no other statement may be executed, nor one that locks rows."""
        return ONLY_READS.match(self.sql) is not None and LOCKS.search(self.sql) is None


def as_line(route: str, request: str, sql: str, parameters: object) -> str:
    """Return a line of a recording, which `read_recording` reads."""
    return recorded_line(route, request, sql, repr(parameters))


def read_recording(lines: Iterable[str], load_app: Callable[[], Any]) -> list[Statement]:
    """Read lines that the tests have recorded, or the service has logged, both as JSON.

    Other lines are ignored. Logged requests have a path: the application knows their route.
    """
    parsed = [found for line in lines if isinstance(found := parse(line), dict)]
    recorded = [
        Statement(each["statement"], restore(each["parameters"]), each["route"], each["request"])
        for each in parsed
        if each.keys() >= FIELDS and EXPLAINED.match(each["statement"])
    ]
    return recorded + list(read_log(parsed, load_app))


def parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def read_log(
    lines: Sequence[Mapping[str, Any]], load_app: Callable[[], Any]
) -> Iterator[Statement]:
    """SQLAlchemy logs the statement first, then its values, and the request at the end."""
    requests = [each for each in lines if {"request_id", "method", "path"} <= each.keys()]
    app = load_app() if requests else None
    routes = {
        each["request_id"]: find_route(app, each["method"], each["path"]) for each in requests
    }
    waiting: dict[str, str] = {}
    for each in lines:
        event, request = str(each.get("event")), str(each.get("request_id", ""))
        if each.get("logger") != ENGINE_LOGGER:
            continue
        route = routes.get(request) or ""
        if values := STATISTICS.fullmatch(event):
            if sql := waiting.pop(request, None):
                yield Statement(sql, restore(values[1]), route, request)
        elif EXPLAINED.match(event):
            sql, parameters = split(event)
            if parameters is None:
                waiting[request] = sql
            else:
                yield Statement(sql, parameters, route, request)


def split(event: str) -> tuple[str, Parameters]:
    """The direct path logs the statement and its values in one line."""
    position = event.find(" [")
    while position >= 0:
        if (parameters := restore(event[position + 1 :])) is not None:
            return event[:position], parameters
        position = event.find(" [", position + 1)
    return event, None


def restore(values: object) -> Parameters:
    """Return the values of which this is the `repr`, or `None` if there is one of another type.

    Of the values of many executions, return the first.
    """
    try:
        found = evaluate(ast.parse(str(values), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, KeyError, ArithmeticError):
        return None
    if isinstance(found, list) and found and isinstance(found[0], tuple):
        return found[0]
    return tuple(found) if isinstance(found, list | tuple) else None


def evaluate(node: ast.expr) -> Any:
    """Evaluate literals, and calls of what values are made of. Nothing else is executed."""
    if isinstance(node, ast.Tuple | ast.List):
        values = [evaluate(each) for each in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    if isinstance(node, ast.Attribute) and node.attr in {"utc", "UTC"}:
        return datetime.UTC
    if isinstance(node, ast.Call):
        constructor = CONSTRUCTORS[ast.unparse(node.func).rpartition(".")[2]]
        named = {str(each.arg): evaluate(each.value) for each in node.keywords}
        return constructor(*(evaluate(each) for each in node.args), **named)
    return ast.literal_eval(node)
