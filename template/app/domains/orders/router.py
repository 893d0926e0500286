from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.core.cursors import Cursor, CursorPage, CursorPageRead
from app.core.database import DatabaseDep, ReadSessionDep, SessionDep
from app.core.idempotency import OnceDep
from app.core.imports import ImportResult, parse_lines
from app.core.pagination import Limit
from app.core.responses import problems
from app.core.streaming import MEDIA_TYPE, NdjsonResponse, stream_rows
from app.domains.orders.models import Order
from app.domains.orders.repository import ALL_ORDERS, OrderRepository
from app.domains.orders.schemas import (
    CustomerRead,
    CustomerWithOrders,
    Dashboard,
    ImportRead,
    OrderCreate,
    OrderLine,
    OrderRead,
    StatusChangeRead,
    StatusUpdate,
    Updated,
)
from app.domains.orders.service import OrderService, parse_order
from app.domains.users.repository import UserRepository

router = APIRouter(tags=["orders"])

ORDER = {"$ref": "#/components/schemas/OrderCreate"}


@router.post("/orders", status_code=201, response_model=OrderRead, responses=problems(409))
async def place_order(data: OrderCreate, session: SessionDep, once: OnceDep) -> Order | Response:
    return await once(session, OrderService(session).place(data))


@router.patch("/orders", response_model=Updated, responses=problems(409))
async def update_status(data: StatusUpdate, database: DatabaseDep) -> dict[str, int]:
    """Set the status of many orders, or of none if one of them cannot have it.

    The update is retried if another request changes the orders at the same time.
    """
    updated = await database.run(
        lambda session: OrderRepository(session).set_status(data.ids, data.status)
    )
    return {"updated": updated}


@router.get("/orders", response_model=CursorPageRead[OrderLine])
async def list_largest_orders(
    session: ReadSessionDep, after: Cursor | None = None, limit: Limit = 50
) -> CursorPage[OrderLine]:
    """List the orders, largest total first. Pass the `next` of a page as `after` for the next."""
    return await OrderRepository(session).list_largest(after=after, limit=limit)


@router.post(
    "/orders/import",
    response_model=ImportRead,
    responses=problems(409, 413),
    max_body_size=8 * 1024 * 1024,
    openapi_extra={"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": ORDER}}}},
)
async def import_orders(
    request: Request, database: DatabaseDep, once: OnceDep
) -> ImportResult | Response:
    """Import one order per line. All valid lines are stored in one transaction."""
    async with parse_lines(request, parse_order) as lines:
        return await database.run(
            lambda session: once(session, OrderService(session).import_orders(lines))
        )


@router.get(
    "/orders/export",
    response_class=NdjsonResponse,
    responses={200: {"model": OrderLine}},
)
async def export_orders(database: DatabaseDep) -> NdjsonResponse:
    """Export all orders, one per line."""
    return await stream_rows(database, ALL_ORDERS, OrderLine)


@router.get("/orders/{order_id}", responses=problems(404))
async def read_order(order_id: UUID, session: ReadSessionDep) -> OrderRead:
    return await OrderRepository(session).read(order_id, OrderRead)


@router.get("/orders/{order_id}/history", responses=problems(404))
async def read_history(
    order_id: UUID, session: ReadSessionDep, limit: Limit = 50
) -> list[StatusChangeRead]:
    orders = OrderRepository(session)
    order = await orders.read(order_id, OrderLine)
    return await orders.read_history(order.id, limit=limit)


@router.delete("/orders/{order_id}", status_code=204, responses=problems(404))
async def delete_order(order_id: UUID, session: SessionDep) -> None:
    orders = OrderRepository(session)
    await orders.delete(await orders.get(order_id))


@router.post("/orders/{order_id}/pay", response_model=OrderLine, responses=problems(404, 409))
async def pay_order(order_id: UUID, session: SessionDep) -> Order:
    orders = OrderRepository(session)
    order = await orders.get_for_update(order_id)
    order.pay()
    return await orders.add(order)


@router.post("/orders/{order_id}/ship", response_model=OrderLine, responses=problems(404, 409))
async def ship_order(order_id: UUID, session: SessionDep) -> Order:
    orders = OrderRepository(session)
    order = await orders.get_for_update(order_id)
    order.ship()
    return await orders.add(order)


@router.post("/orders/{order_id}/cancel", response_model=OrderLine, responses=problems(404, 409))
async def cancel_order(order_id: UUID, session: SessionDep) -> Order:
    orders = OrderRepository(session)
    order = await orders.get_for_update(order_id)
    order.cancel()
    return await orders.add(order)


@router.get("/users/{user_id}/orders", responses=problems(404))
async def read_user_with_orders(
    user_id: UUID, session: ReadSessionDep, limit: Limit = 100
) -> CustomerWithOrders:
    user = await UserRepository(session).read(user_id, CustomerRead)
    orders = await OrderRepository(session).list_latest(user_id, limit=limit)
    return CustomerWithOrders(**dict(user), orders=orders)


@router.get("/users/{user_id}/dashboard", response_model=Dashboard, responses=problems(404))
async def read_dashboard(user_id: UUID, session: ReadSessionDep) -> dict[str, Any]:
    """The queries share a session, so they run one after the other."""
    orders = OrderRepository(session)
    return {
        "user": await UserRepository(session).read(user_id, CustomerRead),
        "latest_orders": await orders.list_latest(user_id, limit=10),
        "totals": await orders.sum_by_status(user_id),
    }
