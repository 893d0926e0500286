"""Explain statements on the database, and find out what is wrong with their plans."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.exc import DBAPIError, SAWarning
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.analyzing import plans
from app.core.command_line.analyzing.findings import (
    FOREIGN_KEY,
    Finding,
    KnownTables,
    Report,
    cost_of_routes,
    find_repeated,
    judge,
    merge,
    routes_of,
)
from app.core.command_line.analyzing.plan_steps import Plan, UnexplainedError
from app.core.command_line.analyzing.proofs import prove_all, refusal
from app.core.command_line.analyzing.proposals import supports_reference, unindexed_foreign_keys
from app.core.command_line.analyzing.queries import read_query, shorten
from app.core.command_line.analyzing.recordings import EXPLAINED, Statement
from app.core.command_line.output import progress_bar
from app.core.engine import create_engine
from app.core.registry import import_models
from app.core.settings import CoreSettings, public_address


@dataclass(frozen=True)
class Options:
    """`large` is a number of rows, `repeated` one of executions in a request."""

    large: int = 10_000
    repeated: int = 5
    assume_large: bool = False
    prove: bool = False


async def analyze(
    settings: CoreSettings, statements: Sequence[Statement], options: Options
) -> Report:
    """Explain the statements, without executing them, and return what is wrong.

    With `options.prove`, proposed indexes are tried, and queries executed to measure them. Raise
    `DBAPIError` if the database cannot be used, and `CommandError` if its owner cannot connect.
    """
    import_models()  # to know in which file a table is
    engine = create_engine(settings.primary_url, settings, "write")
    try:
        async with engine.execution_options(begin="BEGIN").connect() as connection:
            known = await read_tables(connection, options)
            report = Report(public_address(settings.primary_url), known, options.assume_large)
            found = await explain_all(connection, statements, report)
    finally:
        await engine.dispose()
    found += find_unindexed_keys(known)
    report.findings = merge([*found, *find_repeated(statements, options.repeated)])
    report.routes = cost_of_routes(statements)
    report.unused_indexes = find_unused_indexes(report)
    if options.prove:
        report.findings = await prove_all(settings, report)
    return report


async def read_tables(connection: AsyncConnection, options: Options) -> KnownTables:
    tables = await connection.run_sync(reflect)
    sizes = {name: await plans.count_rows(connection, table) for name, table in tables.items()}
    await connection.rollback()
    return KnownTables(tables, sizes, 0 if options.assume_large else options.large)


def reflect(connection: Connection) -> dict[str, Table]:
    """Read the tables as they are: a database may have other indexes than the models."""
    metadata = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # indexes of expressions are left out
        metadata.reflect(connection)
    return dict(metadata.tables)


async def explain_all(
    connection: AsyncConnection, statements: Iterable[Statement], report: Report
) -> list[Finding]:
    """Explain statements that differ in more than values once, with the first known values."""
    columns = {name: frozenset(table.columns.keys()) for name, table in report.known.tables.items()}
    alike: dict[str, list[Statement]] = defaultdict(list)
    for each in statements:
        alike[shorten(each.sql)].append(each)
    findings: list[Finding] = []
    with progress_bar("Explaining statements", len(alike)) as advance:
        for text, same in alike.items():
            advance(1)
            query = read_query(text, columns)
            if query.is_insert:
                continue
            known = (each for each in same if each.parameters is not None)
            statement = next(known, same[0])
            try:
                plan = await explain(connection, statement, assume_large=report.assume_large)
            except UnexplainedError as error:
                report.unexplained[text] = str(error)
                continue
            report.explained += 1
            report.used_indexes |= {step.index for step in plan.steps if step.index}
            found = judge(statement, query, plan, report.known)
            findings += [replace(each, routes=routes_of(same)) for each in found]
    return findings


async def explain(connection: AsyncConnection, statement: Statement, *, assume_large: bool) -> Plan:
    if ";" in statement.sql or not EXPLAINED.match(statement.sql):
        # A driver may execute what follows a semicolon.
        raise UnexplainedError("it is not one SELECT, INSERT, UPDATE or DELETE without semicolon")
    preparation = plans.PREPARATION + (plans.ASSUME_LARGE if assume_large else ())
    try:
        for each in preparation:
            await connection.exec_driver_sql(each)
        plan = await plans.explain(connection, statement.sql, statement.parameters)
    except DBAPIError as error:
        raise UnexplainedError(refusal(error)) from error
    finally:
        await connection.rollback()
    # Estimates of a small table say nothing about a large one.
    steps = (replace(step, rows=None, kept=None) for step in plan.steps if not step.could_search)
    return Plan(tuple(steps), plan.cost) if assume_large else plan


def find_unindexed_keys(known: KnownTables) -> list[Finding]:
    return [
        Finding(FOREIGN_KEY, known.sizes[name], name, proposal=proposal)
        for name, table in known.tables.items()
        if known.is_large(name)
        for proposal in unindexed_foreign_keys(table)
    ]


def find_unused_indexes(report: Report) -> list[str]:
    """Return indexes of large tables that no plan uses, if there are the statements of requests.

    Those that keep values unique, or find what refers to a deleted row, have another purpose.
    """
    if not report.routes:
        return []
    return sorted(
        str(index.name)
        for name, table in report.known.tables.items()
        if report.known.is_large(name)
        for index in table.indexes
        if not index.unique and not supports_reference(index, table)
        if index.name not in report.used_indexes
    )
