"""The queries on aiosqlite alone, for L0 and L1: on a pool of readers, and one writer."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiosqlite
from uuid_utils.compat import uuid7

Row = dict[str, Any]

# Durable as the service is: the default, NORMAL, would be less work.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
USER = "id, created_at, updated_at, email, full_name, is_active"
ORDER = "id, created_at, updated_at, status, total_cents"
READ_USER = f"SELECT {USER} FROM users WHERE id = ? AND deleted_at IS NULL"
LIST_ORDERS = f"SELECT {ORDER} FROM orders WHERE user_id = ? ORDER BY id DESC LIMIT 100"
LIST_USERS = f"""
    SELECT {USER} FROM users WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?"""
CREATE_USER = f"INSERT INTO users ({USER}, is_live) VALUES (?, ?, ?, ?, ?, ?, true)"
COUNT_POSTS = "SELECT count(*) FROM posts"
LIST_POSTS = """
    SELECT p.id, p.created_at, p.updated_at, p.title, p.body, p.is_pinned, u.id, u.full_name
    FROM posts p LEFT JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL
    ORDER BY p.id LIMIT ? OFFSET ?"""
LIST_TAGS = """
    SELECT pt.post_id, t.id, t.name FROM post_tags pt JOIN tags t ON t.id = pt.tag_id
    WHERE pt.post_id IN ({}) ORDER BY t.name"""
ALL_ORDERS = f"SELECT {ORDER}, user_id FROM orders ORDER BY id"

readers: asyncio.LifoQueue[aiosqlite.Connection]
writers: asyncio.LifoQueue[aiosqlite.Connection]


async def opened(count: int) -> asyncio.LifoQueue[aiosqlite.Connection]:
    queue: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
    for _ in range(count):
        file = os.environ["DATABASE_URL"].partition(":///")[2]
        connection = await aiosqlite.connect(file, isolation_level=None)
        for pragma in PRAGMAS:
            await connection.execute(f"PRAGMA {pragma}")
        queue.put_nowait(connection)
    return queue


@asynccontextmanager
async def connections() -> AsyncIterator[None]:
    global readers, writers
    readers, writers = await opened(int(os.environ["POOL_SIZE"])), await opened(1)
    yield
    for queue in (readers, writers):
        while not queue.empty():
            await queue.get_nowait().close()


@asynccontextmanager
async def one_of(
    queue: asyncio.LifoQueue[aiosqlite.Connection],
) -> AsyncIterator[aiosqlite.Connection]:
    connection = await queue.get()
    try:
        yield connection
    finally:
        queue.put_nowait(connection)


def dashed(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def to_instant(text: str) -> str:
    """As JSON has it: these columns are in UTC."""
    return f"{text.replace(' ', 'T')}Z"


def to_text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")


def user_of(row: Any) -> Row:
    id, created_at, updated_at, email, full_name, is_active = row
    return {
        "id": dashed(id),
        "created_at": to_instant(created_at),
        "updated_at": to_instant(updated_at),
        "email": email,
        "full_name": full_name,
        "is_active": bool(is_active),
    }


def order_of(row: Any) -> Row:
    id, created_at, updated_at, status, total_cents = row
    return {
        "id": dashed(id),
        "created_at": to_instant(created_at),
        "updated_at": to_instant(updated_at),
        "status": status,
        "total_cents": total_cents,
    }


async def read_user(id: UUID) -> Row | None:
    async with one_of(readers) as connection:
        rows = list(await connection.execute_fetchall(READ_USER, (id.hex,)))
    return user_of(rows[0]) if rows else None


async def read_user_with_orders(id: UUID) -> Row | None:
    async with one_of(readers) as connection:
        users = list(await connection.execute_fetchall(READ_USER, (id.hex,)))
        orders = await connection.execute_fetchall(LIST_ORDERS, (id.hex,))
    return {**user_of(users[0]), "orders": [order_of(row) for row in orders]} if users else None


async def list_users(after: UUID, limit: int) -> list[Row]:
    async with one_of(readers) as connection:
        rows = await connection.execute_fetchall(LIST_USERS, (after.hex, limit))
    return [user_of(row) for row in rows]


async def create_user(email: str, full_name: str) -> Row:
    id, now = uuid7(), to_text(datetime.now(UTC))
    async with one_of(writers) as connection:
        await connection.execute(CREATE_USER, (id.hex, now, now, email, full_name, True))
    return user_of((id.hex, now, now, email, full_name, True))


async def list_posts(limit: int, offset: int) -> tuple[int, list[Any], list[Any]]:
    """The total, posts with their author, and tags with their post, as rows."""
    async with one_of(readers) as connection:
        ((total,),) = await connection.execute_fetchall(COUNT_POSTS)
        posts = await connection.execute_fetchall(LIST_POSTS, (limit, offset))
        keys = [post[0] for post in posts]
        marks = ", ".join("?" * len(keys))
        tags = await connection.execute_fetchall(LIST_TAGS.format(marks), keys)
    return (
        total,
        [
            (dashed(id), to_instant(created), to_instant(updated), title, body, bool(pinned),
             author and dashed(author), name)
            for id, created, updated, title, body, pinned, author, name in posts
        ],
        [(dashed(post), dashed(tag), name) for post, tag, name in tags],
    )  # fmt: skip


async def stream_orders(rows_at_once: int) -> AsyncIterator[list[Row]]:
    async with one_of(readers) as connection, connection.execute(ALL_ORDERS) as cursor:
        while rows := await cursor.fetchmany(rows_at_once):
            yield [{**order_of(row[:-1]), "user_id": dashed(row[-1])} for row in rows]


async def insert_users(rows: list[Row]) -> None:
    now = to_text(datetime.now(UTC))
    values = ((uuid7().hex, now, now, row["email"], row["full_name"], True) for row in rows)
    async with one_of(writers) as connection:
        await connection.execute("BEGIN IMMEDIATE")
        await connection.executemany(CREATE_USER, values)
        await connection.execute("COMMIT")
