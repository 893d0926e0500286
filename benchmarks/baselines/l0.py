"""L0, the limit: the driver, Starlette and orjson. Nothing is validated."""

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
from pages import NIL, keyset_page, numbered_page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

raw = importlib.import_module(f"raw_{os.environ['DRIVER']}")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with raw.connections():
        yield


def reply(value: Any, status: int = 200) -> Response:
    if value is None:
        return Response(b"{}", 404)
    # `str` is for asyncpg's own class of UUIDs.
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


async def read_user(request: Request) -> Response:
    return reply(await raw.read_user(UUID(request.path_params["id"])))


async def read_user_with_orders(request: Request) -> Response:
    return reply(await raw.read_user_with_orders(UUID(request.path_params["id"])))


async def list_users(request: Request) -> Response:
    query = request.query_params
    limit = int(query.get("limit", 50))
    after = UUID(query["after"]) if "after" in query else NIL
    return reply(keyset_page(await raw.list_users(after, limit + 1), limit))


async def create_user(request: Request) -> Response:
    data = orjson.loads(await request.body())
    return reply(await raw.create_user(data["email"], data["full_name"]), 201)


async def list_posts(request: Request) -> Response:
    query = request.query_params
    page, size = int(query.get("page", 1)), int(query.get("size", 20))
    return reply(numbered_page(*await raw.list_posts(size, (page - 1) * size), page, size))


async def export_orders(_: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        async for rows in raw.stream_orders(1000):
            yield b"".join(
                orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in rows
            )

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def live(_: Request) -> Response:
    return reply({"status": "ok"})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/users/{id}", read_user),
        Route("/users/{id}/orders", read_user_with_orders),
        Route("/users", list_users),
        Route("/users", create_user, methods=["POST"]),
        Route("/posts", list_posts),
        Route("/orders/export", export_orders),
        Route("/health/live", live),
    ],
)
