"""What is asked, and whether the answer is right."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.targets import Server


@dataclass(frozen=True)
class Workload:
    title: str
    path: str  # {id} becomes the id of a user
    records: int | None = None  # the length of the longest list in the answer
    method: str = "GET"
    status: int = 200
    body: str | None = None  # {n} becomes unique text
    connections: int | None = None
    tables: tuple[str, ...] = ("users",)


TAIL_CONNECTIONS = 256
BODY = '{"email": "bench-{n}@example.com", "full_name": "Bench User"}'
WORKLOADS = {
    "W1": Workload("one user", "/users/{id}"),
    "W2": Workload(
        "user with 10 orders", "/users/{id}/orders", records=10, tables=("users", "orders")
    ),
    "W3": Workload("50 users", "/users?limit=50&after={id}", records=50),
    "W3-first": Workload("the first 50 users", "/users?limit=50", records=50),
    "W5": Workload(
        "50 posts, tags, authors",
        "/posts?page=1&size=50",
        records=50,
        tables=("users", "tags", "posts", "post_tags"),
    ),
    "W8": Workload("no database", "/health/live"),
    "W1-256": Workload(
        f"{TAIL_CONNECTIONS} connections", "/users/{id}", connections=TAIL_CONNECTIONS
    ),
    # Last, because it makes the table of users grow.
    "W4": Workload("create a user", "/users", method="POST", status=201, body=BODY),
}
# The other one is for many more users than usual.
DEFAULT = [name for name in WORKLOADS if name != "W3-first"]


class WrongAnswerError(Exception):
    pass


def longest_list(answer: Any) -> int:
    members = answer.values() if isinstance(answer, dict) else [answer]
    return max((len(member) for member in members if isinstance(member, list)), default=0)


def ask(client: httpx.Client, server: Server, work: str) -> None:
    """Asks once. Raises `WrongAnswerError` unless the answer has the right status and size."""
    workload, target = WORKLOADS[work], server.target
    path, body = target.path(work, workload.path), target.bodies.get(work, workload.body)
    try:
        response = client.request(
            target.methods.get(work, workload.method),
            f"{server.url}{path}".replace("{id}", target.ids[0]),
            content=body.replace("{n}", f"probe-{time.time_ns()}") if body else None,
            headers={"Content-Type": "application/json", **target.headers},
        )
    except httpx.TransportError as error:
        raise WrongAnswerError(repr(error)) from None
    status = target.statuses.get(work, workload.status)
    if response.status_code != status:
        raise WrongAnswerError(f"{response.status_code}, not {status}: {response.text}")
    answer = json.loads(response.content)
    if workload.records and (found := longest_list(answer)) != workload.records:
        raise WrongAnswerError(f"{found} records, not {workload.records}")
    if workload.path == "/users/{id}" and answer.get("id") != target.ids[0]:
        raise WrongAnswerError(f"another user: {response.text}")
