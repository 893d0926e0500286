import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.core.hostile import UNKNOWN_ID
from tests.domains.orders.factories import build_line, import_lines
from tests.domains.users.factories import create_deleted_user, create_user


async def test_bad_lines_are_named_and_the_others_are_stored(
    client: AsyncClient, session: AsyncSession
) -> None:
    user, deleted = await create_user(session), await create_deleted_user(session)

    result = await import_lines(
        client,
        [
            build_line(user.id),
            b"s3cret",
            build_line(UNKNOWN_ID),
            build_line(user.id, quantity=0),
            build_line(deleted.id),
            build_line(user.id),
            b"{}",
        ],
    )

    assert result["inserted"] == 2
    rejected = [(each["line"], each["reason"].split(":")[0]) for each in result["rejected"]]
    assert rejected == [
        (2, "Invalid JSON"),
        (3, "user_id"),
        (4, "items.0.quantity"),
        (5, "user_id"),
        (7, "user_id"),
    ]
    orders = (await client.get(f"/users/{user.id}/orders")).json()["orders"]
    assert len(orders) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'"s3cret"', "Input"),
        (b"null", "Input"),
        (b"[" * 10_000, "Invalid JSON"),
        (b'{"s3cret": "\xff"}', "Invalid JSON"),
        (b'{"s3cret": "\\ud800"}', "Invalid JSON"),
        (b'{"s3cret": NaN}', "user_id"),
        (build_line("s3cret"), "user_id"),
        (build_line(UNKNOWN_ID, name="s3cret\0"), "items.0.name"),
        (build_line(UNKNOWN_ID, name="s3cret" * 50), "items.0.name"),
        (build_line(UNKNOWN_ID, name=""), "items.0.name"),
        (build_line(UNKNOWN_ID, price_cents=10**22), "items.0.price_cents"),
        (build_line(UNKNOWN_ID, price_cents=-1), "items.0.price_cents"),
        (build_line(UNKNOWN_ID, price_cents=float("nan")), "items.0.price_cents"),
        (build_line(UNKNOWN_ID, s3cret="s3cret"), "items.0.s3cret"),
        (build_line(UNKNOWN_ID, name="s3cret" * 20_000), "Invalid JSON"),
    ],
)
async def test_a_bad_line_is_rejected_with_the_reason(
    client: AsyncClient, line: bytes, reason: str
) -> None:
    result = await import_lines(client, [line])

    assert result["inserted"] == 0
    assert [each["line"] for each in result["rejected"]] == [1]
    found = result["rejected"][0]["reason"]
    assert found.startswith(reason)
    assert "s3cret" not in found.removeprefix("items.0.s3cret")


async def test_the_numbers_of_rejected_lines_count_empty_lines_too(
    client: AsyncClient, session: AsyncSession
) -> None:
    line = build_line((await create_user(session)).id)

    result = await import_lines(client, [line, b"", b"bad", b"\r", line, b"bad"])

    assert result["inserted"] == 2
    assert [each["line"] for each in result["rejected"]] == [3, 6]


async def test_a_line_that_is_too_long_is_rejected_although_its_beginning_is_valid(
    client: AsyncClient, session: AsyncSession
) -> None:
    line = build_line((await create_user(session)).id)

    result = await import_lines(client, [line + b" " * 70_000 + b"bad", line])

    assert result["inserted"] == 1
    assert [each["line"] for each in result["rejected"]] == [1]
