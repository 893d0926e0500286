"""What a revision blocks or breaks on SQLite."""

from collections.abc import Iterable, Iterator, Sequence

from alembic.operations import ops
from sqlalchemy import ClauseElement, Computed, DefaultClause, Dialect

from app.core.command_line.linting.checking.compatibility import broken_promises
from app.core.command_line.linting.checking.findings import Finding
from app.core.command_line.linting.recording import Batch, Step

__all__ = ["check"]

NEEDS_BATCH = (
    ops.AddConstraintOp,
    ops.AlterColumnOp,
    ops.DropConstraintOp,
)
COPY = "The table is copied. Other writers wait until that is done: seconds for a million rows."
ADD_OUTSIDE = "op.add_column without a batch, with a constant as its default: nothing is copied."
ONE_BATCH = "put all changes of the table into one batch: then it is copied once."
NO_OTHER_WAY = (
    "SQLite cannot alter it otherwise. Put all changes of the table into one batch, and give the"
    " number of its rows as the reason of an exemption."
)


def check(steps: Sequence[Step], dialect: Dialect) -> Iterator[Finding]:  # noqa: ARG001 - others need it
    existing = [step for step in steps if not step.is_on_new_table]
    yield from broken_promises(existing)
    yield from copied_tables(existing)
    for step in steps:
        if step.batch is None and isinstance(step.operation, NEEDS_BATCH) and not renames(step):
            message = "SQLite cannot alter this in a table that is there: the revision fails."
            recipe = "use op.batch_alter_table, which copies the table."
            yield Finding(step.line, "needs-batch", message, recipe, is_error=True)


def copied_tables(steps: Iterable[Step]) -> Iterator[Finding]:
    """Yield a finding for each batch that copies its table."""
    copied: dict[Batch, str] = {}
    for step in steps:
        if step.batch is None or step.batch in copied or not copies(step):
            continue
        is_repeated = step.batch.table in copied.values()
        copied[step.batch] = step.batch.table
        is_column = isinstance(step.operation, ops.AddColumnOp)
        recipe = ONE_BATCH if is_repeated else ADD_OUTSIDE if is_column else NO_OTHER_WAY
        yield Finding(step.line, "table-copy", COPY, recipe)


def copies(step: Step) -> bool:
    """Return whether Alembic copies the table for this operation of a batch."""
    if step.batch is not None and step.batch.recreate != "auto":
        return step.batch.recreate == "always"
    operation = step.operation
    if isinstance(operation, ops.AddColumnOp):
        default = operation.column.server_default
        if isinstance(default, DefaultClause):
            return isinstance(default.arg, ClauseElement)
        return isinstance(default, Computed) and bool(default.persisted)
    return not isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp | ops.ExecuteSQLOp)


def renames(step: Step) -> bool:
    """Return whether only a name is changed, which SQLite can."""
    change = step.operation
    return (
        isinstance(change, ops.AlterColumnOp)
        and change.modify_name is not None
        and change.modify_type is None
        and change.modify_nullable is None
        and change.modify_server_default is False
    )
