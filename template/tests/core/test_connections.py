from typing import Any

import pytest
from sqlalchemy import select

from app.core.database import Database
from app.core.settings import CoreSettings


async def test_a_connection_that_was_idle_is_tested_before_use(
    database: Database, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = Database(settings.model_copy(update={"database_ping_after_idle_seconds": 0}))
    pinged = 0
    ping = careful.engine.dialect.do_ping

    def count(connection: Any) -> bool:
        nonlocal pinged
        pinged += 1
        return ping(connection)

    monkeypatch.setattr(careful.engine.dialect, "do_ping", count)
    for _ in range(2):
        async with careful.transaction() as session:
            await session.execute(select(1))
    await careful.dispose()

    assert pinged == 1
