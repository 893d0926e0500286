"""Error responses as problem details, RFC 9457."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.core import driver, errors
from app.core.errors import AppError
from app.core.failures import Failure
from app.core.logs import add_to_request_log
from app.core.registry import fields_of
from app.core.schemas import name_fields

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1


class InvalidField(BaseModel):
    """One part of the request that is not valid."""

    field: str = Field(examples=["body.email"])
    message: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = Field(
        default="about:blank",
        description="Which error it is, where the status alone does not say it.",
        examples=["urn:problem:insufficient-funds"],
    )
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str | None = None
    request_id: str | None = None
    errors: list[InvalidField] | None = Field(
        default=None, description="What is not valid, for status 422."
    )
    fields: list[str] | None = Field(
        default=None,
        description="The columns that the error is about, where the database names them.",
        examples=[["email"]],
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of an endpoint's errors: `responses=problems(404, 409)`."""
    return {status: {"description": title_of(status)} for status in statuses}


def title_of(status: int) -> str:
    """Return the name of the status, even if it is not a standard one."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Server Error"


def respond(
    request: Request,
    status: int,
    detail: str | None = None,
    *,
    type: str = "about:blank",
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] | None = None,
    fields: Sequence[str] | None = None,
) -> Response:
    """Build the response. Its JSON is ASCII, so that any text from a client can be encoded."""
    problem = {
        "type": type,
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "request_id": request.scope.get("request_id"),
        "errors": errors,
        "fields": fields or None,
    }
    body = json.dumps({name: value for name, value in problem.items() if value is not None})
    headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def problem_type(error: AppError) -> str:
    """Return its type, or derive it: `AlreadyPaidError` is `urn:problem:already-paid`."""
    if error.problem_type is not None:
        return error.problem_type
    if type(error).__module__ == errors.__name__:
        return "about:blank"
    words = re.findall(
        r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", type(error).__name__.removesuffix("Error")
    )
    return "urn:problem:" + "-".join(words).lower()


async def respond_to_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        add_to_request_log(request, reason=str(error))
    return respond(request, error.status, str(error), type=problem_type(error))


async def respond_to_invalid_request(request: Request, error: Exception) -> Response:
    """Name the invalid fields, but not their values, which may be secret or very long."""
    assert isinstance(error, RequestValidationError)
    if any(each["loc"][0] == "path" for each in error.errors()):
        # `DELETE /orders/export` was routed to the endpoint for `/orders/{id}`.
        methods = allowed_methods(request)
        if request.method not in methods:
            return respond(request, 405, headers={"Allow": ", ".join(sorted(methods))})
    errors = name_fields(error.errors())
    return respond(request, 422, "The request is not valid.", errors=errors)


async def respond_to_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ClientDisconnect):
        raise error.__cause__  # FastAPI reports an incomplete body as invalid
    status, headers = error.status_code, dict(error.headers or {})
    if status < HTTPStatus.BAD_REQUEST:  # a redirect, or "not modified"
        return Response(status_code=status, headers=headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        add_to_request_log(request, reason=str(error.detail))
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := allowed_methods(request)):
        headers["Allow"] = ", ".join(sorted(methods))
    detail = error.detail if error.detail != title_of(status) else None
    return respond(request, status, detail or None, headers=headers)


def allowed_methods(request: Request) -> set[str]:
    """Return the methods of the routes for exactly this path, or else of those that match it."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    routes = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.methods and route.path_regex.match(path)
    ]
    own = [route for route in routes if route.path == path]
    return {method for route in own or routes for method in route.methods or ()}


async def respond_to_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DBAPIError)
    failure = driver.failure_of(error)
    readiness = request.app.state.readiness
    if driver.lacks_table_or_column(error) and (reason := await readiness.find_missing_revisions()):
        failure = Failure.OUTDATED
        add_to_request_log(request, reason=reason)
    if failure is not None:
        add_to_request_log(request, error=failure.name)
    details = driver.details_of(error)
    add_to_request_log(request, **details)
    if failure is None or failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error  # a bug in the service
    return respond(request, failure.status, failure.detail, fields=fields_of(details))


async def respond_to_stale_record(request: Request, error: Exception) -> Response:
    """Report a row that was changed or deleted. `refresh` has no exception class of its own."""
    stale = isinstance(error, StaleDataError | ObjectDeletedError)
    if not stale and not str(error).startswith("Could not refresh instance"):
        raise error
    return respond(request, 409, "The record was changed or deleted by another request.")


async def respond_to_pool_timeout(request: Request, _: Exception) -> Response:
    detail = "All connections to the database are in use."
    add_to_request_log(request, reason=detail)
    return respond(request, 503, detail)


async def respond_to_bug(request: Request, _: Exception) -> Response:
    """Return the id of the request, by which the error can be found in the log."""
    return respond(request, 500, "An error in the service. It was logged.")


def handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(AppError, respond_to_app_error)
    app.add_exception_handler(RequestValidationError, respond_to_invalid_request)
    app.add_exception_handler(HTTPException, respond_to_http_exception)
    app.add_exception_handler(DBAPIError, respond_to_database_error)
    app.add_exception_handler(StaleDataError, respond_to_stale_record)
    app.add_exception_handler(InvalidRequestError, respond_to_stale_record)
    app.add_exception_handler(PoolTimeoutError, respond_to_pool_timeout)
    app.add_exception_handler(Exception, respond_to_bug)
