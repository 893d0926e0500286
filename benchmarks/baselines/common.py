"""The widely copied style: an ORM session in a dependency that commits after the response.

`pool_pre_ping`, a `select()` built for each request, and a `response_model`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from models import Post, User
from pages import NIL
from schemas import Health, PostPage, UserCreate, UserPage, UserRead, UserWithOrders
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, selectinload

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=int(os.environ["POOL_SIZE"]),
    max_overflow=0,
    pool_pre_ping=True,
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        try:
            yield session
            await session.commit()
        except Exception:
            await session.rollback()
            raise


SessionDep = Annotated[AsyncSession, Depends(get_session)]
app = FastAPI(lifespan=lifespan)


@app.get("/users/{id}", response_model=UserRead)
async def read_user(id: UUID, session: SessionDep) -> Any:
    query = select(User).where(User.id == id, User.deleted_at.is_(None))
    user = (await session.execute(query)).scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{id}/orders", response_model=UserWithOrders)
async def read_user_with_orders(id: UUID, session: SessionDep) -> Any:
    query = select(User).where(User.id == id, User.deleted_at.is_(None))
    query = query.options(selectinload(User.orders))
    user = (await session.execute(query)).scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=UserPage)
async def list_users(session: SessionDep, limit: int = 50, after: UUID = NIL) -> Any:
    query = select(User).where(User.id > after, User.deleted_at.is_(None)).order_by(User.id)
    users = (await session.execute(query.limit(limit + 1))).scalars().all()
    shown = users[:limit]
    return {"items": shown, "next": shown[-1].id if len(users) > limit else None}


@app.post("/users", status_code=201, response_model=UserRead)
async def create_user(data: UserCreate, session: SessionDep) -> Any:
    user = User(**data.model_dump())
    session.add(user)
    await session.flush()
    await session.refresh(user)
    return user


@app.get("/posts", response_model=PostPage)
async def list_posts(session: SessionDep, page: int = 1, size: int = 20) -> Any:
    total = await session.scalar(select(func.count()).select_from(Post))
    query = select(Post).options(joinedload(Post.author), selectinload(Post.tags))
    query = query.order_by(Post.id).limit(size).offset((page - 1) * size)
    posts = (await session.execute(query)).scalars().all()
    return {"items": posts, "total": total, "page": page, "size": size}


@app.get("/health/live", response_model=Health)
async def live() -> Any:
    return Health(status="ok")
