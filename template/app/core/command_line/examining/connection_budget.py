"""Whether the server allows as many connections as the service may open."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.examining.findings import Finding, Severity
from app.core.command_line.examining.health_checks import CONNECTION_LIMIT
from app.core.settings import CoreSettings

# A rest for migrations, jobs and people.
FULL = 0.9


@dataclass(frozen=True)
class ConnectionBudget:
    """Compare what all processes of the service may open with what the server allows."""

    settings: CoreSettings
    processes: int
    name: str = "connection-budget"

    async def __call__(self, connection: AsyncConnection) -> list[Finding]:
        if not CONNECTION_LIMIT:
            return []
        limit = int(await connection.scalar(text(CONNECTION_LIMIT)) or 0)
        return self.compare(limit)

    def compare(self, limit: int) -> list[Finding]:
        each = connections_of_process(self.settings)
        needed = each * self.processes
        if needed <= FULL * limit:
            return []
        is_refused = needed > limit
        return [
            Finding(
                self.name,
                Severity.ERROR if is_refused else Severity.WARNING,
                f"Processes: {self.processes}. Each opens up to {each} connections, all"
                f" {needed}. The server allows {limit}.",
                "Under load, requests fail with a 503 because no connection can be opened."
                if is_refused
                else "Little is left for migrations, jobs and people.",
                self.mend(limit),
            )
        ]

    def mend(self, limit: int) -> str:
        """Return the size of pools that fits, if there is one."""
        others = connections_of_process(self.settings) - 2 * size_of_pool(self.settings)
        fitting = (int(FULL * limit) // self.processes - others) // 2
        if fitting < 1:
            return "Run fewer processes, or raise the limit, or put a pooler in between."
        overflow = " DATABASE_MAX_OVERFLOW=0" if self.settings.database_max_overflow else ""
        return f"DATABASE_POOL_SIZE={fitting}{overflow}, or fewer processes, or a higher limit."


def connections_of_process(settings: CoreSettings) -> int:
    """Return how many connections a process may open to the primary: see `Database`."""
    streams = settings.database_stream_pool_size if settings.database_replica_url is None else 0
    return 2 * size_of_pool(settings) + streams + 1


def size_of_pool(settings: CoreSettings) -> int:
    return settings.database_pool_size + settings.database_max_overflow
