"""The queries on asyncpg alone, for L0 and L1."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

Row = dict[str, Any]

USER = "id, created_at, updated_at, email, full_name, is_active"
READ_USER = f"SELECT {USER} FROM users WHERE id = $1 AND deleted_at IS NULL"
LIST_ORDERS = """
    SELECT id, created_at, updated_at, status, total_cents FROM orders
    WHERE user_id = $1 ORDER BY id DESC LIMIT 100"""
LIST_USERS = f"""
    SELECT {USER} FROM users WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2"""
CREATE_USER = f"""
    INSERT INTO users ({USER}, is_live) VALUES ($1, $2, $3, $4, $5, $6, true)"""
COUNT_POSTS = "SELECT count(*) FROM posts"
LIST_POSTS = """
    SELECT p.id, p.created_at, p.updated_at, p.title, p.body, p.is_pinned, u.id, u.full_name
    FROM posts p LEFT JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL
    ORDER BY p.id LIMIT $1 OFFSET $2"""
LIST_TAGS = """
    SELECT pt.post_id, t.id, t.name FROM post_tags pt JOIN tags t ON t.id = pt.tag_id
    WHERE pt.post_id = ANY($1::uuid[]) ORDER BY t.name"""
ALL_ORDERS = """
    SELECT id, created_at, updated_at, status, total_cents, user_id FROM orders ORDER BY id"""
COLUMNS = [*USER.split(", "), "is_live"]

pool: asyncpg.Pool


async def keep_state(_: asyncpg.Connection) -> None:
    """No reset on release: these queries leave nothing behind."""


@asynccontextmanager
async def connections() -> AsyncIterator[None]:
    global pool
    size = int(os.environ["POOL_SIZE"])
    dsn = os.environ["DATABASE_URL"].replace("+asyncpg", "")
    async with asyncpg.create_pool(dsn, min_size=size, max_size=size, reset=keep_state) as pool:
        yield


async def read_user(id: UUID) -> Row | None:
    async with pool.acquire() as connection:
        user = await connection.fetchrow(READ_USER, id)
    return user and dict(user)


async def read_user_with_orders(id: UUID) -> Row | None:
    async with pool.acquire() as connection:
        user = await connection.fetchrow(READ_USER, id)
        orders = await connection.fetch(LIST_ORDERS, id)
    return user and {**user, "orders": [dict(order) for order in orders]}


async def list_users(after: UUID, limit: int) -> list[Row]:
    async with pool.acquire() as connection:
        return [dict(user) for user in await connection.fetch(LIST_USERS, after, limit)]


async def create_user(email: str, full_name: str) -> Row:
    now = datetime.now(UTC)
    values = (uuid7(), now, now, email, full_name, True)
    async with pool.acquire() as connection:
        await connection.execute(CREATE_USER, *values)
    return dict(zip(COLUMNS, values, strict=False))


async def list_posts(limit: int, offset: int) -> tuple[int, list[Any], list[Any]]:
    """The total, posts with their author, and tags with their post, as rows."""
    async with pool.acquire() as connection:
        total = await connection.fetchval(COUNT_POSTS)
        posts = await connection.fetch(LIST_POSTS, limit, offset)
        tags = await connection.fetch(LIST_TAGS, [post[0] for post in posts])
    return total, posts, tags


async def stream_orders(rows_at_once: int) -> AsyncIterator[list[Row]]:
    async with pool.acquire() as connection, connection.transaction():
        cursor = await connection.cursor(ALL_ORDERS)
        while rows := await cursor.fetch(rows_at_once):
            yield [dict(row) for row in rows]


async def insert_users(rows: list[Row]) -> None:
    now = datetime.now(UTC)
    values = ((uuid7(), now, now, row["email"], row["full_name"], True, True) for row in rows)
    async with pool.acquire() as connection, connection.transaction():
        await connection.copy_records_to_table("users", records=values, columns=COLUMNS)
