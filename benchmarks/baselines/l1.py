"""L1, the ceiling for a service on FastAPI: the driver, FastAPI and pydantic, no SQLAlchemy."""

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI, HTTPException
from pages import NIL, keyset_page, numbered_page
from schemas import Health, PostPage, UserCreate, UserPage, UserRead, UserWithOrders

raw = importlib.import_module(f"raw_{os.environ['DRIVER']}")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with raw.connections():
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/users/{id}")
async def read_user(id: UUID) -> UserRead:
    user = await raw.read_user(id)
    if user is None:
        raise HTTPException(404)
    return UserRead.model_validate(user)


@app.get("/users/{id}/orders")
async def read_user_with_orders(id: UUID) -> UserWithOrders:
    user = await raw.read_user_with_orders(id)
    if user is None:
        raise HTTPException(404)
    return UserWithOrders.model_validate(user)


@app.get("/users")
async def list_users(limit: int = 50, after: UUID = NIL) -> UserPage:
    return UserPage.model_validate(keyset_page(await raw.list_users(after, limit + 1), limit))


@app.post("/users", status_code=201)
async def create_user(data: UserCreate) -> UserRead:
    return UserRead.model_validate(await raw.create_user(data.email, data.full_name))


@app.get("/posts")
async def list_posts(page: int = 1, size: int = 20) -> PostPage:
    found = await raw.list_posts(size, (page - 1) * size)
    return PostPage.model_validate(numbered_page(*found, page, size))


@app.get("/health/live")
async def live() -> Health:
    return Health(status="ok")
