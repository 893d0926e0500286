"""Run the upgrade of a revision without a database, and keep what it would do."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, SimpleNamespace
from typing import Any, Literal

from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, Operations
from alembic.operations.ops import (
    CreateForeignKeyOp,
    CreateTableOp,
    ExecuteSQLOp,
    MigrateOperation,
)
from alembic.script import Script
from sqlalchemy import Dialect, TextClause, UpdateBase
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData


@dataclass(eq=False)
class Batch:
    """A block of `batch_alter_table`."""

    table: str
    recreate: str


@dataclass(frozen=True)
class Step:
    """An operation, the line of the revision that calls it, and what it is part of."""

    operation: MigrateOperation
    line: int
    is_in_transaction: bool
    is_on_new_table: bool  # which an earlier operation of the same revision has created
    batch: Batch | None = None


class Recorder(MigrationContext):
    """What a revision sees instead of the database. It has no rows."""

    def __init__(self, dialect: Dialect, path: str) -> None:
        super().__init__(dialect, None, {"as_sql": True, "output_buffer": io.StringIO()})
        self.path = path
        self.steps: list[Step] = []
        self.is_in_transaction = True
        self.created: set[str | None] = set()

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        self.is_in_transaction = False
        try:
            yield
        finally:
            self.is_in_transaction = True

    def record(self, operation: MigrateOperation, batch: Batch | None = None) -> Any:
        line = line_in(self.path, sys._getframe())  # noqa: SLF001 - as documented
        is_on_new_table = table_of(operation) in self.created
        self.steps.append(Step(operation, line, self.is_in_transaction, is_on_new_table, batch))
        if not isinstance(operation, CreateTableOp):
            return None
        self.created.add(operation.table_name)
        return operation.to_table(self)


class RecordedOperations(Operations):
    """Alembic's `op`: each operation is recorded, and none is executed."""

    migration_context: Recorder

    def invoke(self, operation: MigrateOperation) -> Any:
        return self.migration_context.record(operation)

    def get_bind(self) -> Any:
        return EmptyConnection(self.migration_context)

    @contextmanager
    def batch_alter_table(
        self,
        table_name: str,
        schema: str | None = None,
        recreate: Literal["auto", "always", "never"] = "auto",
        *_: Any,
        **__: Any,
    ) -> Iterator[BatchOperations]:
        table: Any = SimpleNamespace(table_name=table_name, schema=schema)
        operations = RecordedBatch(self.migration_context, impl=table)
        operations.batch = Batch(table_name, recreate)
        yield operations


class RecordedBatch(BatchOperations):
    batch: Batch
    migration_context: Recorder

    def invoke(self, operation: MigrateOperation) -> Any:
        return self.migration_context.record(operation, self.batch)

    get_bind = RecordedOperations.get_bind


class NoRows(IteratorResult[Any]):
    rowcount = 0

    def __init__(self) -> None:
        super().__init__(SimpleResultMetaData(["none"]), iter(()))


class EmptyConnection:
    """Finds no rows, so that a revision which changes data in chunks ends."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.dialect = recorder.dialect

    def execute(self, statement: Any, *_: Any, **__: Any) -> NoRows:
        if isinstance(statement, str | TextClause | UpdateBase):
            self.recorder.record(ExecuteSQLOp(statement))
        return NoRows()

    exec_driver_sql = execute

    def scalars(self, statement: Any, *_: Any, **__: Any) -> Any:
        return self.execute(statement).scalars()

    def scalar(self, statement: Any, *_: Any, **__: Any) -> Any:
        return self.execute(statement).scalar()


def table_of(operation: Any) -> str | None:
    if isinstance(operation, CreateForeignKeyOp):
        return operation.source_table
    return getattr(operation, "table_name", None)


def line_in(path: str, frame: FrameType | None) -> int:
    """Return the line in the file `path` from which the frame was reached."""
    while frame is not None and frame.f_code.co_filename != path:
        frame = frame.f_back
    return frame.f_lineno if frame is not None else 1


@contextmanager
def installed(operations: Operations) -> Iterator[None]:
    """Let `op` be these operations, as `Operations.context` does with its own."""
    before = vars(op).get("_proxy")
    vars(op)["_proxy"] = operations
    try:
        yield
    finally:
        vars(op)["_proxy"] = before


def record(revision: Script, dialect: Dialect) -> tuple[list[Step], str]:
    """Return what the upgrade does, and why the rest of it is unknown, or an empty text."""
    recorder = Recorder(dialect, revision.path)
    with installed(RecordedOperations(recorder)):
        try:
            revision.module.upgrade()
        except Exception as error:  # noqa: BLE001 - whatever the revision raises
            reason = str(error).splitlines() or [""]
            return recorder.steps, f"{type(error).__name__}: {reason[0]}"
    return recorder.steps, ""
