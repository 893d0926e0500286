"""The budget of each route: how many statements and round trips a request may take.

`tests/statements.txt` has the most that a successful request needed in the tests. The fixture
`client` compares, if there is a file. `uv run python -m tests.statements` runs the tests, and
writes the file again.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextvars import ContextVar
from operator import gt
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.command_line.analyze import LEFT_OUT
from app.core.command_line.routes import most
from app.core.statement_endpoint import find_route
from tests.recording import recorded

FILE = Path(__file__).with_suffix(".txt")
HEADER = """\
# The most that a successful request to each route needed in the tests. More fails the test.
# Round trips are statements, BEGIN, COMMIT, ROLLBACK, and fetching the next rows of a stream.
# Written by: uv run python -m tests.statements
#
# statements  round trips  route
"""
RECORD = "RECORD_STATEMENTS"  # names the folder in which each worker leaves its lines
NO_STATEMENT = re.compile(r"(BEGIN|COMMIT|ROLLBACK(?! TO)|FETCH)\b")

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
        self.lines: list[str] = []
        self.started = self.running = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.started += 1
        self.running += 1
        number, alone = self.started, self.running == 1
        sent: list[str] = []
        token = round_trips.set(sent)
        try:
            with recorded(self.app, request.method, request.url.path):
                response = await super().handle_async_request(request)
        finally:
            round_trips.reset(token)
            self.running -= 1
        is_plain = "Idempotency-Key" not in request.headers  # which takes three statements more
        if alone and self.started == number and is_plain and not response.is_error:
            self.charge(request.method, request.url.path, sent)
        return response

    def charge(self, method: str, path: str, sent: list[str]) -> None:
        if route := find_route(self.app, method, path):
            statements = sum(not NO_STATEMENT.match(each) for each in sent)
            self.lines.append(f"{statements} {len(sent)} {route}")


def check_budgets(lines: Iterable[str]) -> None:
    """Fail the test if a route took more than its budget, or has none; or record what they took."""
    if RECORD in os.environ:
        with Path(os.environ[RECORD], str(os.getpid())).open("a", encoding="utf-8") as record:
            record.writelines(f"{line}\n" for line in lines)
        return
    if not FILE.exists():
        return
    budgets = most(FILE.read_text(encoding="utf-8").splitlines())
    for route, cost in most(lines).items():
        budget = budgets.get(route)
        if budget is None or any(map(gt, cost, budget)):
            allowed = "does not list it" if budget is None else "allows {} and {}".format(*budget)
            pytest.fail(
                "{} took {} statements and {} round trips, but tests/statements.txt {}. If that is "
                "intended: uv run python -m tests.statements".format(route, *cost, allowed),
                pytrace=False,
            )


def main() -> int:
    """Return the exit code of pytest. If a test fails, the file stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", *LEFT_OUT]
        environment = {**os.environ, RECORD: folder}
        code = subprocess.run(command, check=False, cwd=FILE.parents[1], env=environment).returncode
        if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return code
        records = [file.read_text(encoding="utf-8") for file in Path(folder).iterdir()]
    found = most("".join(records).splitlines())
    by_path = sorted(found.items(), key=lambda item: item[0].split()[::-1])
    lines = [f"{cost[0]:12}  {cost[1]:11}  {route}\n" for route, cost in by_path]
    FILE.write_text(HEADER + "".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
