"""Servers that the renderings share, started by the module that they start their own with."""

import asyncio
import importlib.util
import os
import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol, cast

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from tests.machine import missing
from tests.repository import TOP


class ServerModule(Protocol):
    def running_server(self) -> AbstractContextManager[URL]: ...
    async def create_database(self, url: URL) -> None: ...


def server_module(driver: str) -> ServerModule:
    """The `tests/core/server.py` of a rendering."""
    path = TOP / "template" / "_drivers" / driver / "server.py"
    spec = importlib.util.spec_from_file_location(f"server_{driver}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("ServerModule", module)


def path_with(programs: Path | None) -> str:
    """The PATH on which those of the folder `programs` are found first."""
    return os.pathsep.join(
        [str(programs), os.environ["PATH"]] if programs else [os.environ["PATH"]]
    )


class Servers:
    """Starts a server when it is asked for, and stops them all at the end of the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.started: dict[tuple[str, Path | None], tuple[ServerModule, URL]] = {}

    def url(self, driver: str, programs: Path | None = None) -> URL:
        """The server for `driver`, from the folder `programs` if there is a choice."""
        key = (driver, programs)
        if key not in self.started:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", path_with(programs))
                module = self.module(driver)
                try:
                    url = self.stack.enter_context(module.running_server())
                except RuntimeError as error:
                    missing(f"{driver}: {error}")
            self.started[key] = (module, url)
        return self.started[key][1]

    def module(self, driver: str) -> ServerModule:
        return server_module(driver)

    def create_database(self, driver: str, programs: Path | None = None) -> URL:
        """A new one, which nobody else uses."""
        server = self.url(driver, programs)
        url = server.set(database=f"{server.database or 'test'}_{uuid.uuid4().hex[:12]}")
        asyncio.run(self.started[driver, programs][0].create_database(url))
        return url


def version(url: URL) -> str:
    """Of the server, or of the library, that answers at `url`."""
    function = "sqlite_version()" if "sqlite" in url.drivername else "version()"
    ((answer,),) = rows_of(url, f"SELECT {function}")
    return str(answer)


def rows_of(url: URL, statement: str) -> list[tuple[object, ...]]:
    async def ask() -> list[tuple[object, ...]]:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            rows = (await connection.execute(text(statement))).all()
        await engine.dispose()
        return [tuple(row) for row in rows]

    return asyncio.run(ask())


def execute(url: URL, statements: Iterable[str]) -> None:
    """Executes each outside of a transaction."""

    async def execute_each() -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                for statement in statements:
                    await connection.execute(text(statement))
        finally:
            await engine.dispose()

    asyncio.run(execute_each())


def written(url: URL) -> str:
    return url.render_as_string(hide_password=False)
