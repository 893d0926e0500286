"""W6 on the driver alone: `python insert_raw.py 50000` inserts so many users."""

import asyncio
import importlib
import os
import sys

from inserting import measured, new_users
from pages import NIL

raw = importlib.import_module(f"raw_{os.environ['DRIVER']}")


async def main(count: int) -> None:
    rows = new_users(count)
    async with raw.connections():
        await raw.list_users(NIL, 1)  # connects
        await measured(raw.insert_users(rows))


asyncio.run(main(int(sys.argv[1])))
