from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx import AsyncClient
from sqlalchemy import Column, Index, MetaData, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domains.orders.models import Order, OrderItem
from tests.conftest import CountStatements
from tests.core.hostile import assert_problem
from tests.domains.orders.factories import build_line, import_lines
from tests.domains.users.factories import create_user

LIMIT_BYTES = 8 * 1024 * 1024


async def count_orders(session: AsyncSession) -> tuple[int | None, int | None]:
    orders = await session.scalar(select(func.count()).select_from(Order))
    return orders, await session.scalar(select(func.count()).select_from(OrderItem))


async def test_every_valid_line_becomes_an_order(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)

    result = await import_lines(client, [build_line(user.id), build_line(user.id, quantity=3)])

    assert result == {"inserted": 2, "rejected": [], "rejected_count": 0}
    orders = (await client.get(f"/users/{user.id}/orders")).json()["orders"]
    assert [(order["total_cents"], order["status"]) for order in orders] == [
        (450, "pending"),
        (300, "pending"),
    ]
    order = (await client.get(f"/orders/{orders[0]['id']}")).json()
    item = order["items"][0]
    assert (item["name"], item["quantity"], item["price_cents"]) == ("Punched card", 3, 150)


async def test_an_import_that_is_repeated_with_its_key_stores_its_orders_once(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    content, headers = build_line(user.id), {"Idempotency-Key": "import-1"}

    responses = [
        await client.post("/orders/import", content=content, headers=headers) for _ in range(2)
    ]

    assert responses[0].json() == responses[1].json()
    assert responses[0].json()["inserted"] == 1
    assert await count_orders(session) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"%s\n%s\n",
        b"%s\n%s",
        b"%s\r\n%s\r\n",
        b"\n\n%s\n \t\n\r\n%s\n\n",
        b"  %s  \n\t%s\t\n",
    ],
)
async def test_lines_may_end_in_any_way_and_may_be_empty(
    client: AsyncClient, session: AsyncSession, content: bytes
) -> None:
    line = build_line((await create_user(session)).id)

    response = await client.post("/orders/import", content=content % (line, line))

    assert response.json() == {"inserted": 2, "rejected": [], "rejected_count": 0}


async def test_lines_may_arrive_in_pieces(client: AsyncClient, session: AsyncSession) -> None:
    line = build_line((await create_user(session)).id, name="Zoë 🦊")
    body = b"\n".join([line, b"bad", line])

    async def send_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    response = await client.post("/orders/import", content=send_pieces())

    assert response.json()["inserted"] == 2
    assert [each["line"] for each in response.json()["rejected"]] == [2]


async def test_an_import_of_nothing_imports_nothing(client: AsyncClient) -> None:
    nothing = {"inserted": 0, "rejected": [], "rejected_count": 0}

    assert await import_lines(client, []) == nothing


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused(
    client: AsyncClient, session: AsyncSession, declared: bool
) -> None:
    line = build_line((await create_user(session)).id)
    body = line + b"\n" + b" " * LIMIT_BYTES

    async def send_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    content = body if declared else send_pieces()
    response = await client.post("/orders/import", content=content)

    assert_problem(response, 413)
    assert await count_orders(session) == (0, 0)


@asynccontextmanager
async def unique_names(session: AsyncSession) -> AsyncIterator[None]:
    """A rule that the service does not know, so that the database refuses what was valid."""
    table = Table("order_items", MetaData(), Column("name", String(200)))
    index = Index("uq_order_items_name", table.c.name, unique=True)
    connection = await session.connection()
    await connection.run_sync(index.create)
    await session.commit()
    try:
        yield
    finally:
        connection = await session.connection()
        await connection.run_sync(index.drop)
        await session.commit()


async def test_what_the_database_refuses_undoes_the_whole_import(
    client: AsyncClient, session: AsyncSession
) -> None:
    user = await create_user(session)
    names = [*map(str, range(1_100)), "7"]

    async with unique_names(session):
        response = await client.post(
            "/orders/import", content=b"\n".join(build_line(user.id, name=name) for name in names)
        )

    assert_problem(response, 409)
    assert await count_orders(session) == (0, 0)


async def test_an_import_takes_as_many_statements_for_one_line_as_for_many(
    client: AsyncClient, session: AsyncSession, count_statements: CountStatements
) -> None:
    line = build_line((await create_user(session)).id)
    counts = []
    for lines in (1, 100):
        async with count_statements() as count:
            await import_lines(client, [line] * lines)
        counts.append(len(count))

    assert counts == [3, 3]
    assert await count_orders(session) == (101, 101)
