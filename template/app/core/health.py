"""Liveness, which does not need the database, and readiness, which does."""

import ast
import asyncio
import logging
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import driver
from app.core.errors import UnavailableError
from app.core.logs import add_to_request_log
from app.core.responses import problems

logger = logging.getLogger(__name__)

HOW_TO_START_IT = (
    "Start it (for development: docker compose up --detach --wait), or set DATABASE_URL."
)
VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


class Health(BaseModel):
    status: Literal["ok"] = "ok"


def read_revisions(folder: Path) -> tuple[set[str], set[str]]:
    """Return all revisions, and the newest ones: those that no other revision follows.

    The files are parsed, because importing Alembic would slow down each start of the service.
    """
    known: set[str] = set()
    followed: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                name, value = ast.unparse(node.targets[0]), node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                name, value = ast.unparse(node.target), node.value
            else:
                continue
            if name in {"revision", "down_revision"}:
                ids = ast.literal_eval(value)
                ids = {ids} if isinstance(ids, str) else set(ids or ())
                (known if name == "revision" else followed).update(ids)
    return known, known - followed


class Readiness:
    """Check the databases, one check at a time. Concurrent callers share its result."""

    def __init__(
        self, engine: AsyncEngine, *, replica: AsyncEngine | None = None, timeout: float
    ) -> None:
        self.engines = {"database": engine}
        if replica is not None and replica is not engine:
            self.engines["replica"] = replica
        self.timeout = timeout
        self.known, self.newest = read_revisions(VERSIONS)
        self.pending: asyncio.Task[str | None] | None = None
        self.lacks_revisions = False
        self.is_shutting_down = False

    async def check(self) -> str | None:
        """Return why the service is not ready and how to fix it, or `None` if it is ready."""
        if self.is_shutting_down:
            return "The service is shutting down."
        return await self._ask_once()

    async def find_missing_revisions(self) -> str | None:
        """Return which revisions a database lacks. `None` if it lacks none, or cannot be asked."""
        reason = await self._ask_once()
        return reason if self.lacks_revisions else None

    async def _ask_once(self) -> str | None:
        if self.pending is None or self.pending.done():
            self.pending = asyncio.create_task(self._ask())
        # Not `wait_for`: closing an unresponsive connection can take longer than the timeout.
        done, _ = await asyncio.wait({self.pending}, timeout=self.timeout)
        return self.pending.result() if done else f"The database is silent. {HOW_TO_START_IT}"

    async def report(self) -> None:
        """Log why the service is not ready. It starts anyway and is ready once this is fixed."""
        if reason := await self.check():
            logger.error("Not ready: %s", reason)

    async def close(self) -> None:
        """Cancel the check that is running, and let it return its connection."""
        if self.pending is not None:
            self.pending.cancel()
            await asyncio.wait({self.pending}, timeout=self.timeout)

    async def _ask(self) -> str | None:
        self.lacks_revisions = False
        for name, engine in self.engines.items():
            if reason := await self._ask_one(name, engine):
                return reason
        return None

    async def _ask_one(self, name: str, engine: AsyncEngine) -> str | None:
        try:
            async with asyncio.timeout(self.timeout):
                found = await read_revision(engine)
        except TimeoutError:
            return f"The {name} did not answer in time. {HOW_TO_START_IT}"
        except DBAPIError as error:
            return f"The {name} cannot be reached: {error.orig}. {HOW_TO_START_IT}"
        except Exception as error:  # noqa: BLE001 - a readiness check must report any error
            return f"The {name} cannot be used: {error!r}. {HOW_TO_START_IT}"
        # An unknown revision is newer: the database is migrated before the new code is deployed.
        if found == self.newest or found - self.known:
            return None
        self.lacks_revisions = True
        return (
            f"The {name} is at revision {', '.join(sorted(found)) or 'none'}, the service needs "
            f"{', '.join(sorted(self.newest))}. Run: uv run app db upgrade"
        )


async def read_revision(engine: AsyncEngine) -> set[str]:
    """Return the current revisions of the database, an empty set if it was never migrated."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        try:
            rows = await connection.scalars(text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            if driver.failure_of(error) is not None:
                raise
            return set()  # the table does not exist
        return set(rows)


router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def read_liveness() -> Health:
    return Health()


@router.get("/ready", responses=problems(503))
async def read_readiness(request: Request) -> Health:
    readiness: Readiness = request.app.state.readiness
    if reason := await readiness.check():
        add_to_request_log(request, reason=reason)
        raise UnavailableError("The service is not ready. The log says why.")
    return Health()
