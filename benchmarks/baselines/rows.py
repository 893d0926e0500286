"""The rows that each database is filled with: always the same, whoever asks.

Keys are UUIDs of version 7 in the order of the rows. An order's user is far from that of the next.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

START = datetime(2025, 1, 1, tzinfo=UTC)
ORDERS_PER_USER = 10
TAGS, TAGS_PER_POST = 100, 3
MOST_POSTS = 10_000
PRIME = 7919
NOISE = 0x9E3779B97F4A7C15F39C

Row = dict[str, Any]


def key(table: str, number: int) -> UUID:
    milliseconds = int(START.timestamp() * 1000) + number
    noise = (number + len(table)) * NOISE % (1 << 80)
    value = milliseconds << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)  # variant


def record(table: str, number: int) -> Row:
    at = START + timedelta(milliseconds=number)
    return {"id": key(table, number), "created_at": at, "updated_at": at}


def user_of(number: int, users: int) -> UUID:
    return key("users", number * PRIME % users)


def users(count: int) -> Iterator[Row]:
    for number in range(count):
        name = {"email": f"user{number}@example.com", "full_name": f"User {number}"}
        state = {"is_active": True, "deleted_at": None, "is_live": True}
        yield record("users", number) | name | state


def orders(count: int) -> Iterator[Row]:
    for number in range(count * ORDERS_PER_USER):
        content = {"user_id": user_of(number, count), "total_cents": number * PRIME % 100_000}
        yield record("orders", number) | content | {"status": "paid"}


def tags(_: int) -> Iterator[Row]:
    for number in range(TAGS):
        yield record("tags", number) | {"name": f"tag{number}"}


def posts(count: int) -> Iterator[Row]:
    for number in range(min(count, MOST_POSTS)):
        content = {"title": f"Post {number}", "body": "lorem " * 36, "is_pinned": False}
        yield record("posts", number) | content | {"author_id": user_of(number, count)}


def post_tags(count: int) -> Iterator[Row]:
    for number in range(min(count, MOST_POSTS)):
        for place in range(TAGS_PER_POST):
            tag = key("tags", (number + 33 * place) % TAGS)
            yield {"post_id": key("posts", number), "tag_id": tag}


# In the order in which they may refer to each other. Each takes the number of users.
TABLES: dict[str, Callable[[int], Iterator[Row]]] = {
    "users": users,
    "orders": orders,
    "tags": tags,
    "posts": posts,
    "post_tags": post_tags,
}
