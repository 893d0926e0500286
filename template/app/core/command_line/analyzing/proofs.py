"""Try proposed indexes on the rows of the database, and undo them."""

import time
from contextlib import AsyncExitStack
from dataclasses import replace

from sqlalchemy import Index, MetaData, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex

from app.core import driver
from app.core.command_line.analyzing import plans
from app.core.command_line.analyzing.findings import Finding, Gain, Report
from app.core.command_line.output import progress_bar
from app.core.command_line.analyzing.plan_steps import Plan, UnexplainedError
from app.core.command_line.analyzing.proposals import Proposal
from app.core.command_line.analyzing.recordings import Statement
from app.core.migrations import connect
from app.core.settings import CoreSettings

EXECUTIONS = 3  # of which the fastest counts, …
LONG_SECONDS = 1.0  # … or the first one, if it takes this long


async def prove_all(settings: CoreSettings, report: Report) -> list[Finding]:
    """Try each index, as the owner of the tables, on the real rows."""
    findings: list[Finding] = []
    async with AsyncExitStack() as stack:
        connection = await connect(settings, stack)
        with progress_bar("Trying indexes", len(report.findings)) as advance:
            for each in report.findings:
                advance(1)
                gain = None
                if each.proposal and each.statement:
                    table = report.known.tables[each.proposal.table]
                    gain = await prove(connection, each.statement, each.proposal, table)
                findings.append(replace(each, gain=gain))
    return findings


async def prove(
    connection: AsyncConnection, statement: Statement, proposal: Proposal, table: Table
) -> Gain | str:
    """Return what the index gains, or why that is not known."""
    try:
        async with plans.trial(connection, table):
            before = await measure(connection, statement)
            copy = table.to_metadata(MetaData())
            columns = [copy.columns[name] for name in proposal.columns]
            await connection.execute(CreateIndex(Index(proposal.name, *columns)))
            after = await measure(connection, statement)
    except UnexplainedError as error:
        return str(error)
    except DBAPIError as error:
        return refusal(error)
    costs = milliseconds = None
    (plan, took), (new_plan, new_took) = before, after
    if plan.cost is not None and new_plan.cost is not None:
        costs = (plan.cost, new_plan.cost)
    if took is not None and new_took is not None:
        milliseconds = (took, new_took)
    uses_index = any(step.index == proposal.name for step in new_plan.steps)
    return Gain(uses_index, costs, milliseconds)


async def measure(connection: AsyncConnection, statement: Statement) -> tuple[Plan, float | None]:
    """Return the plan, and how many milliseconds a query takes. Others are not executed."""
    plan = await plans.explain(connection, statement.sql, statement.parameters)
    if statement.parameters is None or not statement.is_query:
        return plan, None
    fastest = float("inf")
    for _ in range(EXECUTIONS):
        started = time.perf_counter()
        await connection.exec_driver_sql(statement.sql, statement.parameters)
        took = time.perf_counter() - started
        fastest = min(fastest, took)
        if took > LONG_SECONDS:
            break
    return plan, fastest * 1000


def refusal(error: DBAPIError) -> str:
    """Return why the database refused a statement, without values. Raise it if it is lost."""
    if error.connection_invalidated:
        raise error
    return driver.details_of(error).get("reason") or type(error).__name__
