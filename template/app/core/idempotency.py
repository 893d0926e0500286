"""Requests that are safe to repeat, by the header `Idempotency-Key`.

The answer is stored in the transaction of its effect, so there is either both or neither. The
rules are those of Stripe's API; the header is that of the IETF's draft.
"""

import hashlib
from collections.abc import Coroutine
from functools import cache
from typing import Annotated, Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from fastapi import Depends, Header, Request, Response
from pydantic import TypeAdapter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import driver
from app.core.answers import Answer, find_model, select_answer
from app.core.errors import ConflictError, InvalidError
from app.core.failures import Failure
from app.core.inserts import upsert_row
from app.core.reads import read_all
from app.core.schemas import MAX_TEXT_BYTES

T = TypeVar("T")

WITHOUT_BODY = 204


class IdempotencyKeyInUseError(ConflictError):
    """A request with the same key is being executed."""


class IdempotencyKeyReusedError(InvalidError):
    """The key belongs to a request with another content."""


class AnswerNotStoredError(ConflictError):
    """The request was executed, but its answer was too long to be stored."""


class Once:
    """Execute the work of a request once. A repetition of the request gets the same answer."""

    def __init__(self, route: Any, model: Any = None, row: dict[str, Any] | None = None) -> None:
        self.route = route
        self.model = model
        self.row = row or {}

    async def __call__(self, session: AsyncSession, work: Coroutine[Any, Any, T]) -> T | Response:
        """Return the result of `work`, or the answer to the request if it has a key.

        `work` writes by `session` only. Without a key, it is just executed. With one, the answer
        is stored before the session commits. It is the result as `response_model` of the route,
        with its `status_code`. Errors are not stored: the key can be used again.

        Raise `IdempotencyKeyReusedError` for a key of another request, and
        `IdempotencyKeyInUseError` if the same request is not completed within the lock timeout.
        """
        if not self.row:
            return await work
        try:
            response = await self.claim(session)
            if response is None:
                response = respond(self.route, await work)
                await self.store(session, response)
            return response
        finally:
            work.close()

    async def claim(self, session: AsyncSession) -> Response | None:
        """Insert the key, after rivals have committed. Return the answer if there is one."""
        try:
            await upsert_row(session, self.model, self.row)
        except DBAPIError as error:
            if driver.failure_of(error) not in {Failure.BUSY, Failure.TIMEOUT}:
                raise
            text = "A request with the same Idempotency-Key is being executed. Try again."
            raise IdempotencyKeyInUseError(text) from error
        (answer,) = await read_all(session, select_answer(self.model), Answer, id=self.row["id"])
        if answer.fingerprint != self.row["fingerprint"]:
            raise IdempotencyKeyReusedError("The Idempotency-Key belongs to another request.")
        if answer.status is None:
            return None
        if answer.body is None:
            raise AnswerNotStoredError("The request was executed. Its answer is not stored.")
        headers = {"Idempotent-Replayed": "true"}
        return answer_of(answer.status, answer.body.encode(), headers)

    async def store(self, session: AsyncSession, response: Response) -> None:
        body = bytes(response.body)
        answer = {
            "status": response.status_code,
            "body": body.decode() if len(body) <= MAX_TEXT_BYTES else None,
        }
        await upsert_row(session, self.model, self.row | answer, update=tuple(answer))


def respond(route: Any, result: Any) -> Response:
    """Build the response as FastAPI does for the result of an endpoint."""
    status = route.status_code or 200
    if status == WITHOUT_BODY:
        return answer_of(status, b"")
    adapter = adapter_of(route.response_model)
    body = adapter.dump_json(
        adapter.validate_python(result, from_attributes=True),
        by_alias=route.response_model_by_alias,
        exclude_unset=route.response_model_exclude_unset,
        exclude_defaults=route.response_model_exclude_defaults,
        exclude_none=route.response_model_exclude_none,
    )
    return answer_of(status, body)


@cache
def adapter_of(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Any if model is None else model)


def answer_of(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    media_type = None if status == WITHOUT_BODY else "application/json"
    return Response(body, status, headers=headers, media_type=media_type)


def caller_of(request: Request) -> str:
    """Return who sends the request: `request.state.caller`, or else the credentials.

    An authentication sets the former to an id of the user: credentials are renewed, and the key
    would then be another caller's.
    """
    return str(getattr(request.state, "caller", request.headers.get("authorization", "")))


async def row_of(request: Request, key: str) -> dict[str, Any]:
    """Return the id of the key, and the fingerprint of what is requested."""
    scope = request.scope
    identity = (caller_of(request), scope["method"], scope["route"].path, key)
    content = (scope["path"].encode(), scope["query_string"], await request.body())
    return {
        "id": uuid5(NAMESPACE_URL, "\0".join(identity)),
        "fingerprint": hashlib.sha256(b"\0".join(content)).hexdigest(),
    }


async def get_once(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="Repeat a request with the same key, and it is executed once only.",
        ),
    ] = None,
) -> Once:
    if idempotency_key is None:
        return Once(request.scope["route"])
    model = getattr(request.app.state, "idempotency_model", None) or find_model()
    if model is None:
        raise InvalidError("This service does not store answers: omit the Idempotency-Key.")
    return Once(request.scope["route"], model, await row_of(request, idempotency_key))


# For endpoints that write: `return await once(session, OrderService(session).place(data))`.
OnceDep = Annotated[Once, Depends(get_once)]
