"""What the requests to every route do when a commit fails, and what they leave open."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx import AsyncClient, Response

from tests.core.cases import Request, cases_of, operations_of, send
from tests.core.faults import commits_of, failing_commits, interrupted
from tests.core.routes import SAFE, Finding
from tests.core.rows import Rows

COUNT = 12  # different requests for each route
CANCELLED = 2  # requests of each route
MOST_ROUND_TRIPS = 100
ROUNDS = 30  # each makes rows that the next one may need

# Says what is still open, if anything is.
StillOpen = Callable[[], Awaitable[str]]


def all_cases(app: FastAPI) -> dict[str, list[Request]]:
    """Return requests for each route: those that make rows first, those that delete them last."""
    found = {each.label: cases_of(each, app, COUNT) for each in operations_of(app)}
    return {label: found[label] for label in sorted(found, key=in_turn)}


def in_turn(label: str) -> tuple[int, str]:
    method = label.partition(" ")[0]
    return {"POST": 0, "DELETE": 2}.get(method, 1), label


def writing(app: FastAPI) -> set[str]:
    """Return all routes that may write, by their method, also undocumented ones."""
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in set(route.methods or ()) - SAFE
    }


async def check_commits(app: FastAPI, client: AsyncClient, rows: Rows) -> list[Finding]:
    """Let the commit of a request to each writing route fail. No answer may say that it wrote."""
    known = all_cases(app)
    cases = {label: known.get(label, []) for label in sorted(writing(app), key=in_turn)}
    found: dict[str, Finding] = {}
    proven: set[str] = set()
    with failing_commits():
        for turn in range(ROUNDS):
            for label in cases:
                await rows.read()
                for case in cases[label][turn % 3 :: 3]:
                    rows.refer(case)
                    if label not in proven:
                        with commits_of() as tried:
                            response = await send(client, case)
                        if not tried:
                            continue
                        proven.add(label)
                        if response.is_success:
                            found[label] = early_answer(label, response)
                    await send(client, case)
            if proven == cases.keys():
                break
    return [*found.values(), *(unproven(label) for label in cases if label not in proven)]


def early_answer(label: str, response: Response) -> Finding:
    return Finding(
        label,
        f"It answered {response.status_code} although its commit failed. Take the session by "
        "SessionDep, or commit by DatabaseDep, before the answer.",
    )


def unproven(label: str) -> Finding:
    return Finding(
        label,
        "No generated request has reached a commit, so that nothing is known about it. Give the "
        'schema of its body an example, `model_config = ConfigDict(json_schema_extra={"examples": '
        "[…]})`, or say in tests/routes.txt what it is for.",
    )


async def check_connections(
    app: FastAPI, client: AsyncClient, rows: Rows, still_open: StillOpen
) -> list[Finding]:
    """Send requests to each route, also such as it refuses, and cancel some of them.

    None leaves anything open.
    """
    cases = all_cases(app)
    await make_rows(client, cases, rows)
    found: dict[str, Finding] = {}
    for label, requests in cases.items():
        await rows.read()
        for case in requests:
            response = await send(client, rows.refer(case))
            if left := await still_open():
                found[label] = leak(label, left, f"it answered {response.status_code}")
                break
    with no_reports_to_the_loop():
        for label, requests in cases.items():
            await rows.read()
            for case in map(rows.refer, requests[:CANCELLED]):
                if cancelled := await cancel_in_each_round_trip(client, case, still_open):
                    found[label] = leak(label, *cancelled)
        await asyncio.sleep(0.1)  # the closed connections report their end
    return list(found.values())


def leak(label: str, left: str, after: str) -> Finding:
    return Finding(
        label,
        f"It leaves {left} after {after}. Take sessions by SessionDep or ReadSessionDep, or by "
        "`async with` from DatabaseDep.",
    )


async def cancel_in_each_round_trip(
    client: AsyncClient, case: Request, still_open: StillOpen
) -> tuple[str, str] | None:
    """Cancel the request in its first round trip, again in its second one, and so on.

    Return what is left open, and after which statement.
    """

    def cancel(_: str) -> None:
        task.cancel()

    for number in range(1, MOST_ROUND_TRIPS):
        with interrupted(number, cancel) as sent:
            task = asyncio.create_task(send(client, case))
            with suppress(asyncio.CancelledError):
                await task
        if left := await still_open():
            return left, f"it was cancelled at `{sent[-1] if sent else None}`"
        if len(sent) < number:
            break
    return None


@contextmanager
def no_reports_to_the_loop() -> Iterator[None]:
    """A driver may report the end of a connection that was closed in the middle of a call."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)
    try:
        yield
    finally:
        loop.set_exception_handler(handler)


async def make_rows(client: AsyncClient, cases: dict[str, list[Request]], rows: Rows) -> None:
    for turn in range(3):
        for label, requests in cases.items():
            if label.startswith("POST "):
                await rows.read()
                for case in requests[turn::3]:
                    await send(client, rows.refer(case))
