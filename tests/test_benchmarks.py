"""The benchmarks run, and count right. What they time is not of interest here: the load is tiny."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from benchmarks.proxy import MysqlMessages, PostgresMessages
from benchmarks.targets import Server, Target
from benchmarks.workloads import WrongAnswerError, ask
from sqlalchemy.engine import make_url

from tests.conftest import Rendered
from tests.machine import missing
from tests.project import Virtualenv
from tests.repository import DRIVERS, TOP

WORK = ["W1", "W2", "W3", "W5", "W8", "W4"]
# Statements per request, for each of these workloads.
RAW = [1, 2, 1, 3, 0, 1]
COMMON = {
    "asyncpg": [6, 7, 6, 8, 0, 7],  # three of them are the ping's
    "aiomysql": [3, 4, 3, 5, 0, 4],
    "aiosqlite": [2, 3, 2, 4, 0, 5],
}
COMMON_TRIPS = {"asyncpg": COMMON["asyncpg"], "aiomysql": [4, 5, 4, 6, 0, 5]}
# What the server says of itself. An innodb_doublewrite that is on is 1 or ON.
DURABLE = {
    "asyncpg": "`fsync=on`, `synchronous_commit=on`, `full_page_writes=on`, ",
    "aiomysql": "`innodb_flush_log_at_trx_commit=1`, `innodb_doublewrite=(1|ON)`, ",
    "aiosqlite": "WAL, `synchronous=FULL`, ",
}
# At most: a service may do with fewer.
SERVICE = [1, 2, 1, 3, 0, 3]


def share_environment(project: Path, virtualenv: Virtualenv) -> None:
    """What another test has installed and compiled need not be so again."""
    (project / ".venv").symlink_to(virtualenv(project)["UV_PROJECT_ENVIRONMENT"])


def run_benchmarks(
    project: Path, driver: str, output: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    if shutil.which("wrk") is None:
        missing("the benchmarks: there is no wrk, which makes the load")
    command = [sys.executable, "-m", "benchmarks", "--quick", f"--driver={driver}"]
    command += [f"--service={project}", f"--output={output}", f"--json={output}.json", *options]
    completed = subprocess.run(command, cwd=TOP, check=False, capture_output=True, text=True)
    if "NOT RUN: " in completed.stderr:
        missing(completed.stderr.rpartition("NOT RUN: ")[2].strip())
    return completed


def names(found: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The targets that were measured, for each workload."""
    return {work: list(targets) for work, targets in found.items()}


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_answer_is_right_and_statements_are_counted(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path, driver: str
) -> None:
    project = rendered(tmp_path / "project", driver=driver)
    share_environment(project, virtualenv)
    output = tmp_path / "results"
    work = ",".join([*WORK, "W6", "W7"])
    completed = run_benchmarks(project, driver, output, f"--work={work}")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    found = json.loads(Path(f"{output}.json").read_text())[driver]
    assert found["errors"] == []
    assert re.match(DURABLE[driver], found["durability"])
    targets = ["L0", "L1", "common", "service"]
    assert names(found["bursts"]) == dict.fromkeys(WORK, targets)
    assert names(found["transfers"]) == {"W7": ["L0", "service"], "W6": ["L0", "service"]}

    def counted(target: str, what: str) -> list[float]:
        return [found["counts"][work][target][what] for work in WORK]

    assert counted("L0", "statements") == counted("L1", "statements") == RAW
    assert counted("common", "statements") == COMMON[driver]
    service = counted("service", "statements")
    assert all(0 < one <= most or one == most for one, most in zip(service, SERVICE, strict=True))
    if driver == "aiosqlite":  # a library: there are none
        assert counted("L0", "round_trips") == [None] * len(WORK)
    else:
        assert counted("L0", "round_trips") == RAW
        assert counted("common", "round_trips") == COMMON_TRIPS[driver]
        assert counted("service", "round_trips") == service
    tables = (output / f"{driver}.md").read_text()
    assert all(f"\n## {name} " in tables for name in [*WORK, "W6", "W7"])
    assert f"({driver}.svg)" in tables
    drawing = ET.parse(output / f"{driver}.svg").getroot()
    bars = [each for each in drawing if each.tag.endswith("rect")]
    # The paper, the legend, and three beside L0 for each of the loads, one for the two others.
    assert len(bars) == 1 + 3 + 3 * len(WORK) + 2


def test_what_answers_wrongly_is_left_out_and_is_an_error(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project", driver="aiosqlite")
    share_environment(project, virtualenv)
    router = project / "app" / "domains" / "users" / "router.py"
    code = router.read_text()
    assert "limit=limit" in code
    router.write_text(code.replace("limit=limit", "limit=limit - 1"))
    output = tmp_path / "results"
    options = ("--work=W3,W8", "--targets=service")
    completed = run_benchmarks(project, "aiosqlite", output, *options)
    assert completed.returncode == 1, completed.stdout + completed.stderr
    found = json.loads(Path(f"{output}.json").read_text())["aiosqlite"]
    assert found["errors"] == [
        "W3 service is not counted: 49 records, not 50",
        "W3 service is left out: 49 records, not 50",
    ]
    assert names(found["bursts"]) == {"W3": [], "W8": ["service"]}


@pytest.mark.parametrize(
    ("work", "answer", "message"),
    [
        ("W1", httpx.Response(500, json={"id": "1"}), "500, not 200"),
        ("W1", httpx.Response(307, headers={"location": "/"}), "307, not 200"),
        ("W1", httpx.Response(200, json={"id": "2"}), "another user"),
        ("W3", httpx.Response(200, json={"items": [1] * 49}), "49 records, not 50"),
        ("W4", httpx.Response(200, json={"id": "1"}), "200, not 201"),
    ],
)
def test_a_wrong_answer_is_noticed(work: str, answer: httpx.Response, message: str) -> None:
    target = Target(
        name="wrong",
        command=[],
        folder=TOP,
        url=make_url("sqlite://"),
        variables=lambda _: {},
        ids=["1"],
    )
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(WrongAnswerError, match=message):
        ask(client, Server(target, "http://wrong", 0), work)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_statements_are_found_in_pieces_of_any_size(size: int) -> None:
    startup = b"\0\0\0\x08\x04\xd2\x16\x2f" + b"\0\0\0\x0c\0\x03\0\0abc\0"
    postgres = startup + b"Q\0\0\0\x06;\0" + b"B\0\0\0\x05\0E\0\0\0\x05\0S\0\0\0\x04"
    login = b"\x02\0\0\x01ab"
    mysql = login + b"\x02\0\0\0\x03;" + b"\x01\0\0\0\x0e" + b"\x02\0\0\0\x17;"

    def count(messages: PostgresMessages | MysqlMessages, data: bytes) -> int:
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        return sum(messages.statements(piece) for piece in pieces)

    assert count(PostgresMessages(), postgres) == 2
    assert count(MysqlMessages(), mysql) == 2
