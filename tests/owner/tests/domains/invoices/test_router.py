import asyncio
from typing import Any

from httpx import AsyncClient

from tests.conftest import CountStatements
from tests.core.hostile import UNKNOWN_ID, assert_problem


async def create_invoice(client: AsyncClient, **values: Any) -> dict[str, Any]:
    lines = [{"text": "Work", "cents": 1000}, {"text": "Café ☕ 🦀", "cents": 5}]
    body = {"number": "1", "customer": "Ada", "due_on": "2027-01-31", "lines": lines, **values}
    response = await client.post("/invoices", json=body)
    assert response.status_code == 201, response.text
    invoice: dict[str, Any] = response.json()
    return invoice


async def test_an_invoice_can_be_read(client: AsyncClient) -> None:
    invoice = await create_invoice(client)

    assert (await client.get(f"/invoices/{invoice['id']}")).json() == invoice
    assert [line["cents"] for line in invoice["lines"]] == [1000, 5]


async def test_a_number_is_used_once_among_those_that_are_not_deleted(client: AsyncClient) -> None:
    invoice = await create_invoice(client)
    body = {"number": "1", "customer": "Bob", "due_on": "2027-01-31"}

    assert_problem(await client.post("/invoices", json=body), 409)
    await client.delete(f"/invoices/{invoice['id']}")

    assert (await client.post("/invoices", json=body)).status_code == 201


async def test_paying_twice_is_a_conflict(client: AsyncClient) -> None:
    invoice = await create_invoice(client)

    paid = await client.post(f"/invoices/{invoice['id']}/pay")

    assert paid.json()["paid_at"].endswith("Z")
    assert_problem(await client.post(f"/invoices/{invoice['id']}/pay"), 409)
    assert (await client.get("/invoices")).json() == {"items": [], "next": None}


async def test_paying_nothing_is_not_found(client: AsyncClient) -> None:
    assert_problem(await client.post(f"/invoices/{UNKNOWN_ID}/pay"), 404)


async def test_unpaid_invoices_come_in_pages(client: AsyncClient) -> None:
    ids = [(await create_invoice(client, number=str(number)))["id"] for number in range(5)]

    first = (await client.get("/invoices?limit=3")).json()
    rest = (await client.get(f"/invoices?limit=3&after={first['next']}")).json()

    assert [each["id"] for each in first["items"] + rest["items"]] == ids


async def test_upserts_at_the_same_time_make_each_invoice_once(client: AsyncClient) -> None:
    rows = [{"number": str(n), "customer": "Ada", "due_on": "2027-01-31"} for n in range(20)]

    responses = await asyncio.gather(
        *(client.put("/invoices", json=rows[::step]) for step in (1, -1, 1, -1))
    )

    assert {response.status_code for response in responses} == {200}
    assert len((await client.get("/invoices?limit=100")).json()["items"]) == 20


async def test_customers_are_found_in_any_case(client: AsyncClient) -> None:
    await create_invoice(client, customer="Émilie 100%")

    found = (await client.get("/invoices/search", params={"text": "émilie 100%"})).json()

    assert [each["customer"] for each in found] == ["Émilie 100%"]
    assert (await client.get("/invoices/search", params={"text": "_milie"})).json() == []


async def test_totals_take_one_query(
    client: AsyncClient, count_statements: CountStatements
) -> None:
    await create_invoice(client, number="1", customer="Ada")
    await create_invoice(client, number="2", customer="Ada")
    await create_invoice(client, number="3", customer="Bob", lines=[])

    async with count_statements() as statements:
        totals = (await client.get("/invoices/totals")).json()

    assert totals == [{"customer": "Ada", "cents": 2010}]
    assert len(statements) == 1
