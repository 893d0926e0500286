"""The pictures of the command line in the README: what a real terminal shows, as SVG.

`uv run python -m tests.pictures` draws them into `pictures/`, with the same bytes each time.
"""

import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from tests.project import Virtualenv, arguments, environment, run
from tests.projects import Projects
from tests.repository import TOP, tagged_clone

FOLDER = TOP / "pictures"
COLUMNS = 100
DATABASE = "shop.db"
# The font would come from another server.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A command in a rendering on SQLite, and what prepares its database and its folder."""

    name: str
    command: str
    sql: Sequence[str] = ()
    users: int = 0
    recorded: Sequence[tuple[str, str]] = ()

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.svg"


RECORDED = "statements.jsonl"
# What a service sends that has forgotten an index, and one that asks for each record by itself.
PAID_ORDERS = (
    "SELECT orders.id, orders.total_cents FROM orders"
    " WHERE orders.status = ? ORDER BY orders.created_at LIMIT 20"
)
ITEMS = "SELECT order_items.name FROM order_items WHERE order_items.order_id = ?"
PICTURES = [
    Picture(
        "doctor",
        "app db doctor",
        [
            "DROP INDEX ix_users_deleted_at",
            "CREATE INDEX ix_accounts_owner ON accounts (owner_id)",
            "CREATE TABLE invoices (id INTEGER PRIMARY KEY, order_id CHAR(32) REFERENCES orders)",
            "INSERT INTO invoices VALUES (1, 'gone')",
        ],
    ),
    Picture(
        "analyze",
        f"app db analyze {RECORDED}",
        users=10_000,
        recorded=[
            ("GET /orders/paid", PAID_ORDERS),
            *[("GET /users/{user_id}/orders", ITEMS)] * 20,
        ],
    ),
]


def draw(picture: Picture, project: Path, variables: Mapping[str, str]) -> str:
    """Return the SVG of what the command shows. The project's database is made anew."""
    settings = {**variables, "DATABASE_URL": f"sqlite+aiosqlite:///{DATABASE}"}
    (project / DATABASE).unlink(missing_ok=True)
    run(project, "uv run --no-sync app db upgrade", settings)
    run(project, "uv run --no-sync app db doctor", settings)  # fails if it finds anything now
    if picture.users:
        run(project, f"uv run --no-sync app db seed --users {picture.users}", settings)
    with closing(sqlite3.connect(project / DATABASE, isolation_level=None)) as connection:
        for statement in picture.sql:
            connection.execute(statement)
    lines = [
        {"route": route, "request": route, "statement": statement, "parameters": "('paid',)"}
        for route, statement in picture.recorded
    ]
    (project / RECORDED).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    shown = run_on_terminal(project, f"uv run --no-sync {picture.command}", settings)
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    console.print(Text.from_ansi(shown))
    title = f"uv run {picture.command}"
    return console.export_svg(title=title, code_format=FORMAT, unique_id=picture.name)


def run_on_terminal(project: Path, command: str, variables: Mapping[str, str]) -> str:
    """Return what the command writes to a terminal of its own, with its colors."""
    terminal = {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    settings = {**environment(variables), **terminal}
    ours, its = pty.openpty()
    with subprocess.Popen(
        arguments(command), cwd=project, env=settings, stdout=its, stderr=subprocess.DEVNULL
    ):
        os.close(its)
        written = b"".join(iter(lambda: read(ours), b""))
    os.close(ours)
    return written.decode().replace("\r\n", "\n").rstrip()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # on Linux, the end
        return b""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        tagged_clone(folder / "template")
        project = Projects(folder / "template", folder).rendered()
        variables = Virtualenv(folder, stack)(project)
        for picture in PICTURES:
            picture.path.write_text(draw(picture, project, variables))


if __name__ == "__main__":
    main()
