"""Stream NDJSON of any length in constant memory, in both directions."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Select
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.core.database import Database
from app.core.reads import plan_for, validate_list

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1000
PART_BYTES = 65_536
MEDIA_TYPE = "application/x-ndjson"


async def read_chunks(
    database: Database, query: Select[*tuple[Any, ...]], schema: type[BaseModel]
) -> AsyncGenerator[bytes, None]:
    """Yield the rows of the query as lines of JSON, a thousand rows per chunk."""
    to_json = TypeAdapter(schema).serializer.to_json
    async with database.stream() as session:
        plan = await plan_for(query, schema, session)
        result = await session.stream(plan.query.execution_options(yield_per=ROWS_AT_ONCE))
        async for rows in result.partitions():
            records = validate_list(schema, [plan.record(row) for row in rows])
            yield b"".join(to_json(record) + b"\n" for record in records)


class NdjsonResponse(StreamingResponse):
    """Send the chunks, and always close their source, even if the client disconnects.

    The first chunk is read before the response starts, so that an unavailable database is still a
    503. A client that does not accept 64 KiB within `send_timeout` seconds is disconnected.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        status_code: int = 200,
        *,
        send_timeout: float = 30.0,
    ) -> None:
        self.rest = rest
        self.send_timeout = send_timeout
        super().__init__(self._body(first), status_code)

    async def _body(self, first: bytes) -> AsyncIterator[bytes]:
        chunk: bytes | None = first
        while chunk is not None:
            for start in range(0, len(chunk), PART_BYTES):
                yield chunk[start : start + PART_BYTES]
            chunk = await anext(self.rest, None)

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI signature
        receive: Receive,
        send: Send,
    ) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self.send_timeout):
                    await send(message)
            except TimeoutError:
                logger.warning(
                    "Ended a stream: the client accepted nothing for %s seconds.", self.send_timeout
                )
                raise ClientDisconnect from None
            except OSError:
                raise ClientDisconnect from None

        # Unlike the base class, cancel only once: repeated cancellation could interrupt the closing
        # of a database connection.
        sending = asyncio.create_task(self.stream_response(send_in_time))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        leaving.add_done_callback(lambda _: sending.cancel())
        try:
            await sending
        except asyncio.CancelledError:
            if not leaving.done():
                raise
            raise ClientDisconnect from None
        finally:
            leaving.cancel()
            await self.rest.aclose()


async def stream_rows(
    database: Database, query: Select[*tuple[Any, ...]], schema: type[BaseModel]
) -> NdjsonResponse:
    """Return a response with the rows of the query, which must select the schema's columns."""
    chunks = read_chunks(database, query, schema)
    first = await anext(chunks, b"")
    return NdjsonResponse(first, chunks, send_timeout=database.stream_send_timeout)


async def read_lines(request: Request, *, longest: int = 65_536) -> AsyncIterator[bytes]:
    """Yield the lines of a request body as they arrive, without line endings.

    A line of more than `longest` bytes is truncated and ends in NUL, so that it is not valid JSON.
    """

    def cut(line: bytes) -> bytes:
        return line if len(line) <= longest else line[:longest] + b"\0"

    line = bytearray()
    async for chunk in request.stream():
        rest, *others = chunk.split(b"\n")
        line += rest[: longest + 1 - len(line)]
        for other in others:
            yield cut(bytes(line))
            line = bytearray(other[: longest + 1])
    if line:
        yield cut(bytes(line))
