"""The disk that has the database has no room left."""

import asyncio
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.faults.conftest import Record, Stage, on_servers
from tests.faults.servers import DurableServers, ServerProcess
from tests.faults.service import Service
from tests.project import run
from tests.servers import execute, written

ROOM_BYTES = 65_536
DISK_BYTES = 64 * 1024 * 1024


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
def test_what_does_not_fit_into_the_file_is_not_acknowledged(
    stage: Stage, record_property: Record
) -> None:
    async def fill() -> None:
        async with stage.serving() as service:
            log = Path(f"{stage.url.database}-wal")
            await fill_up(service, stage.url, limited_files(service, log), record_property)

    asyncio.run(fill())


@on_servers
def test_what_does_not_fit_on_the_disk_is_not_acknowledged(
    stage: Stage, record_property: Record, tmp_path: Path
) -> None:
    # A server that no other test uses, because it loses the disk at the end.
    with ExitStack() as stack:
        servers = DurableServers(stack)
        url = stage.new_database(servers)
        server = servers.process(stage.driver, url)
        with small_disk(stage.driver, server, url, tmp_path) as disk:
            migrate = stage.variables | {"DATABASE_URL": written(url)}
            run(stage.project, "uv run alembic upgrade head", migrate)

            async def fill() -> None:
                async with stage.serving(url) as service:
                    await fill_up(service, url, full(disk), record_property)

            asyncio.run(fill())


async def fill_up(
    service: Service, url: URL, disk_is_full: AbstractContextManager[None], record: Record
) -> None:
    ledger = service.ledger()
    await ledger.recovered()
    with disk_is_full:
        async with ledger.load():
            for _ in range(300):
                await asyncio.sleep(0.1)
                if ledger.statuses()[503] > 10:
                    break
        read = await ledger.read()
    seconds = await service.ledger().recovered()
    assert read.status == 200
    assert ledger.statuses().keys() == {200, 201, 503}
    assert await ledger.lost(url) == set()
    record("disk full", ledger.summary(seconds))


@contextmanager
def limited_files(service: Service, file: Path) -> Iterator[None]:
    """Lets no file of the workers grow far beyond the size that this one has."""
    before = {worker: limit(worker) for worker in service.workers()}
    for worker, (_, hard) in before.items():
        limit(worker, (file.stat().st_size + ROOM_BYTES, hard))
    try:
        yield
    finally:
        for worker, limits in before.items():
            limit(worker, limits)


def limit(process: int, *limits: tuple[int, int]) -> tuple[int, int]:
    return resource.prlimit(process, resource.RLIMIT_FSIZE, *limits)


@contextmanager
def small_disk(driver: str, server: ServerProcess, url: URL, folder: Path) -> Iterator[Path]:
    """A disk that has the tables of the database, and nothing else of the server's."""
    if driver == "asyncpg":
        disk = server.folder.parent / "disk"
        disk.mkdir()
        with mounted(disk, server.user):
            statements = [
                f"CREATE TABLESPACE small LOCATION '{disk}'",
                f'ALTER DATABASE "{url.database}" SET TABLESPACE small',
            ]
            execute(url.set(database="postgres"), statements)
            yield disk
    else:
        disk = server.folder / str(url.database)
        shutil.copytree(disk, folder / "kept")
        with mounted(disk, server.user):
            for file in (folder / "kept").iterdir():
                os.chown(shutil.copy(file, disk), server.user, -1)
            yield disk


@contextmanager
def mounted(folder: Path, user: int) -> Iterator[None]:
    options = f"size={DISK_BYTES},uid={user},mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        # Not even the CI runner must be allowed to.
        pytest.skip(f"NOT RUN: a server whose disk is full: {done.stderr.strip()}")
    try:
        yield
    finally:
        # The server still has its files open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leaves no room for another page."""
    filler = disk / "filler"
    found = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize)
    try:
        yield
    finally:
        filler.unlink()
