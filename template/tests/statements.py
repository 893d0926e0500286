"""The budget of each route: how many statements and round trips a request may take.

`tests/statements.txt` has the most that a successful request needed in the tests. The fixture
`client` compares, if there is a file. `uv run python -m tests.statements` runs the tests, and
writes the file anew.
"""

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

FILE = Path(__file__).with_suffix(".txt")
HEADER = """\
# The most that a successful request to each route needed in the tests. More fails the test.
# Round trips are statements, BEGIN, COMMIT, ROLLBACK, and fetching the next rows of a stream.
# Written by: uv run python -m tests.statements
#
# statements  round trips  route
"""
RECORDING = "RECORD_STATEMENTS"
NO_STATEMENT = re.compile(r"(BEGIN|COMMIT|ROLLBACK(?! TO)|FETCH)\b")
# Their client has endpoints of its own.
OF_THE_TEMPLATE = ("--ignore=tests/core", "--ignore=tests/data_copy")

Costs = dict[str, tuple[int, int]]  # for each route its statements and round trips

# What the request that is running has sent to the database.
round_trips: ContextVar[list[str] | None] = ContextVar("round_trips", default=None)


def note_round_trip(statement: str) -> None:
    if (sent := round_trips.get()) is not None:
        sent.append(statement)


class MeteredTransport(httpx.ASGITransport):
    """Notes what successful requests cost, except for requests at the same time.

    Those wait for each other, and their transactions may be retried: each run counts differently.
    """

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.costs: Costs = {}
        self.started = self.running = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.started += 1
        self.running += 1
        number, alone = self.started, self.running == 1
        sent: list[str] = []
        token = round_trips.set(sent)
        try:
            response = await super().handle_async_request(request)
        finally:
            round_trips.reset(token)
            self.running -= 1
        if alone and self.started == number and not response.is_error:
            self.charge(request.method, request.url.path, sent)
        return response

    def charge(self, method: str, path: str, sent: list[str]) -> None:
        """Charge the first route that matches, which is the one that the router takes."""
        app: Any = self.app
        for route in iter_route_contexts(app.routes):
            if method in (route.methods or ()) and route.path_regex.match(path):
                statements = sum(not NO_STATEMENT.match(each) for each in sent)
                add(self.costs, f"{method} {route.path}", statements, len(sent))
                return


def add(costs: Costs, route: str, statements: int, round_trips: int) -> None:
    """Keep the most of each."""
    most = costs.get(route, (0, 0))
    costs[route] = (max(most[0], statements), max(most[1], round_trips))


def costs_of(lines: Iterable[str]) -> Costs:
    costs: Costs = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            statements, round_trips, route = line.split(maxsplit=2)
            add(costs, route, int(statements), int(round_trips))
    return costs


def lines_of(costs: Costs) -> list[str]:
    by_path = sorted(costs, key=lambda route: route.split()[::-1])
    return [f"{costs[route][0]:12}  {costs[route][1]:11}  {route}" for route in by_path]


def check_budgets(costs: Costs) -> None:
    """Fail the test if a route took more than its budget, or has none."""
    if RECORDING in os.environ or not FILE.exists():
        return
    budgets = costs_of(FILE.read_text(encoding="utf-8").splitlines())
    for route, cost in costs.items():
        budget = budgets.get(route)
        if budget is None or cost[0] > budget[0] or cost[1] > budget[1]:
            allowed = "does not list it" if budget is None else "allows {} and {}".format(*budget)
            pytest.fail(
                f"{route} took {cost[0]} statements and {cost[1]} round trips, but tests/{FILE.name}"
                f" {allowed}. If that is intended: uv run python -m tests.statements",
                pytrace=False,
            )


def main() -> int:
    """Return the exit code of pytest. If a test fails, the file stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *OF_THE_TEMPLATE]
        environment = {**os.environ, RECORDING: "yes"}
        code = subprocess.run(command, check=False, cwd=FILE.parents[1], env=environment).returncode
        if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return code
        noted = ET.parse(report).iterfind(".//property[@name='statements']")
        lines = lines_of(costs_of(each.attrib["value"] for each in noted))
    FILE.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
