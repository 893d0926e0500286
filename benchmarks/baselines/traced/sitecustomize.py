"""With this folder on PYTHONPATH, SQLite writes a byte for each statement to STATEMENTS_FILE."""

import os
import sqlite3
from pathlib import Path
from typing import Any

connect = sqlite3.connect
file = Path(os.environ["STATEMENTS_FILE"]).open("ab", buffering=0)  # noqa: SIM115 - until the end


def count(statement: str) -> None:
    if not statement.startswith("--"):  # a trigger's
        file.write(b".")


def connect_traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection = connect(*arguments, **options)
    connection.set_trace_callback(count)
    return connection


sqlite3.connect = connect_traced
