"""Other templates."""

from pathlib import Path

from benchmarks.targets import Target
from tests.servers import Servers


def peers(driver: str, folder: Path, servers: Servers) -> list[Target]:  # noqa: ARG001
    """Those on this driver, installed into the folder, with their databases filled."""
    return []
