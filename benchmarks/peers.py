"""Other templates."""

from pathlib import Path

from benchmarks.targets import Target
from tests.servers import Servers


def peers(driver: str, folder: Path, servers: Servers, users: int) -> list[Target]:  # noqa: ARG001
    """Those on this driver: installed into the folder, and with so many users in their databases.

    `benchmarks/baselines/rows.py` has the rows that the others are filled with.
    """
    return []
