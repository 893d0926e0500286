"""The queries on aiomysql alone, for L0 and L1."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiomysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from uuid_utils.compat import uuid7

Row = dict[str, Any]

USER_COLUMNS = ("id", "created_at", "updated_at", "email", "full_name", "is_active")
ORDER_COLUMNS = ("id", "created_at", "updated_at", "status", "total_cents")
USER, ORDER = ", ".join(USER_COLUMNS), ", ".join(ORDER_COLUMNS)
READ_USER = f"SELECT {USER} FROM users WHERE id = %s AND deleted_at IS NULL"
LIST_ORDERS = f"SELECT {ORDER} FROM orders WHERE user_id = %s ORDER BY id DESC LIMIT 100"
LIST_USERS = f"""
    SELECT {USER} FROM users WHERE id > %s AND deleted_at IS NULL ORDER BY id LIMIT %s"""
# aiomysql sends many rows in one statement if a blank follows VALUES, and all of them are marks.
CREATE_USER = f"INSERT INTO users ({USER}, is_live) VALUES (%s, %s, %s, %s, %s, %s, %s)"
COUNT_POSTS = "SELECT count(*) FROM posts"
LIST_POSTS = """
    SELECT p.id, p.created_at, p.updated_at, p.title, p.body, p.is_pinned, u.id, u.full_name
    FROM posts p LEFT JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL
    ORDER BY p.id LIMIT %s OFFSET %s"""
LIST_TAGS = """
    SELECT pt.post_id, t.id, t.name FROM post_tags pt JOIN tags t ON t.id = pt.tag_id
    WHERE pt.post_id IN %s ORDER BY t.name"""
ALL_ORDERS = f"SELECT {ORDER}, user_id FROM orders ORDER BY id"


def to_instant(text: str) -> str:
    """As JSON has it: these columns are in UTC."""
    return f"{text.replace(' ', 'T')}Z"


CONVERSIONS = {
    **conversions,
    FIELD_TYPE.DATETIME: to_instant,
    FIELD_TYPE.TINY: lambda text: text == "1",
}
pool: aiomysql.Pool


@asynccontextmanager
async def connections() -> AsyncIterator[None]:
    global pool
    url, size = urlsplit(os.environ["DATABASE_URL"]), int(os.environ["POOL_SIZE"])
    async with aiomysql.create_pool(
        host=url.hostname,
        port=url.port,
        user=url.username,
        password=url.password or "",
        db=url.path[1:],
        minsize=size,
        maxsize=size,
        autocommit=True,
        conv=CONVERSIONS,
        charset="utf8mb4",
    ) as pool:
        yield


@asynccontextmanager
async def cursor(kind: type[aiomysql.Cursor] = aiomysql.Cursor) -> AsyncIterator[aiomysql.Cursor]:
    async with pool.acquire() as connection, connection.cursor(kind) as cursor:
        yield cursor


def user_of(row: tuple[Any, ...]) -> Row:
    return dict(zip(USER_COLUMNS, row, strict=True))


async def read_user(id: UUID) -> Row | None:
    async with cursor() as cur:
        await cur.execute(READ_USER, id.hex)
        row = await cur.fetchone()
    return row and user_of(row)


async def read_user_with_orders(id: UUID) -> Row | None:
    async with cursor() as cur:
        await cur.execute(READ_USER, id.hex)
        user = await cur.fetchone()
        await cur.execute(LIST_ORDERS, id.hex)
        rows = await cur.fetchall()
    orders = [dict(zip(ORDER_COLUMNS, row, strict=True)) for row in rows]
    return user and {**user_of(user), "orders": orders}


async def list_users(after: UUID, limit: int) -> list[Row]:
    async with cursor() as cur:
        await cur.execute(LIST_USERS, (after.hex, limit))
        return [user_of(row) for row in await cur.fetchall()]


async def create_user(email: str, full_name: str) -> Row:
    id, now = uuid7(), datetime.now(UTC)
    async with cursor() as cur:
        await cur.execute(CREATE_USER, (id.hex, now, now, email, full_name, True, True))
    return user_of((id, now, now, email, full_name, True))


async def list_posts(limit: int, offset: int) -> tuple[int, list[Any], list[Any]]:
    """The total, posts with their author, and tags with their post, as rows."""
    async with cursor() as cur:
        await cur.execute(COUNT_POSTS)
        (total,) = await cur.fetchone()
        await cur.execute(LIST_POSTS, (limit, offset))
        posts = await cur.fetchall()
        await cur.execute(LIST_TAGS, ([post[0] for post in posts],))
        return total, posts, await cur.fetchall()


async def stream_orders(rows_at_once: int) -> AsyncIterator[list[Row]]:
    columns = (*ORDER_COLUMNS, "user_id")
    async with cursor(aiomysql.SSCursor) as cur:
        await cur.execute(ALL_ORDERS)
        while rows := await cur.fetchmany(rows_at_once):
            yield [dict(zip(columns, row, strict=True)) for row in rows]


async def insert_users(rows: list[Row]) -> None:
    now = datetime.now(UTC)
    values = [(uuid7().hex, now, now, row["email"], row["full_name"], True, True) for row in rows]
    async with cursor() as cur:
        await cur.execute("BEGIN")
        await cur.executemany(CREATE_USER, values)
        await cur.execute("COMMIT")
