"""Does every route answer as its documentation says: to valid, invalid and hostile requests?"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast
from urllib.parse import quote

from fastapi import FastAPI
from httpx import AsyncClient, Response
from schemathesis import GenerationMode
from schemathesis.errors import FailureGroup, SchemathesisError

from app.core.streaming import MEDIA_TYPE
from tests.core.cases import Operation, Request, generate, operations_of, send, valid_cases
from tests.core.hostile import BODIES, IDS, NUMBERS, TEXTS, send_bytes
from tests.core.routes import Finding

COUNT = 6  # generated requests of each kind for each route
METHODS = {"GET", "PUT", "POST", "DELETE", "PATCH"}
DATES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "10000-01-01T00:00:00Z"]
DEEP = json.loads("[" * 500 + "]" * 500)
VALUES = [each.values[0] for each in (*TEXTS, *NUMBERS, *IDS)] + [*DATES, DEEP]


async def check_answers(app: FastAPI, client: AsyncClient) -> list[Finding]:
    """Return the first wrong answer of each kind, for each route of the documentation."""
    found: dict[tuple[str, str], Finding] = {}
    for operation in operations_of(app):
        documented = app.openapi()["paths"][operation.path][operation.method.lower()]
        async for message in wrong_answers(operation, documented, client):
            kind = message.partition(":")[0]
            found.setdefault((operation.label, kind), Finding(operation.label, message))
    async for finding in wrong_methods(app, client):
        found.setdefault((finding.route, "method"), finding)
    return list(found.values())


async def wrong_answers(
    operation: Operation, documented: dict[str, Any], client: AsyncClient
) -> AsyncIterator[str]:
    try:
        valid = valid_cases(operation, COUNT)
        # A stream may have no lines, and its invalid lines are refused in a successful answer.
        is_stream = valid[0].media_type == MEDIA_TYPE
        invalid = [] if is_stream else generate(operation, GenerationMode.NEGATIVE, COUNT)
    except SchemathesisError as error:
        yield f"No request can be generated from its documentation: {error}"
        return
    for case in (*valid, *invalid):
        for message in disagreements(case, await send(client, case)):
            yield message
    async for response in hostile_responses(valid[0], client):
        for message in wrong_refusals(documented["responses"], response):
            yield message
    if documented.get("requestBody", {}).get("required") and not is_stream:
        response = await send_bytes(client, operation.method.upper(), path_of(valid[0]), b"")
        if response.is_success:
            yield (
                f"It accepts no body: {response.status_code}, though its documentation requires "
                "one. Refuse it, or document that it is optional."
            )


def disagreements(case: Request, response: Response) -> Iterator[str]:
    """Yield what schemathesis' checks have found."""
    try:
        case.validate_response(response)
    except FailureGroup as group:
        for failure in group.exceptions:
            is_refused = type(failure).__name__ == "RejectedPositiveData"
            if is_refused and "errors" not in response.json():
                continue  # by a rule of the domain, which no schema can express
            reason = " ".join(str(failure).split())
            yield (
                f"{reason[:300]}. The answer was {response.status_code} {response.text[:300]} to "
                f"{case.as_curl_command()[:600]}. Change the route, or what it documents."
            )


async def hostile_responses(case: Request, client: AsyncClient) -> AsyncIterator[Response]:
    """Send each hostile value as each parameter, and in each place of the body."""
    path, method = path_of(case), case.method.upper()
    for value in VALUES:
        text = quote(str(value).encode("utf-8", "surrogatepass"), safe="")
        for name in case.path_parameters or {}:
            yield await send_bytes(client, method, path_of(case, **{name: text}), b"")
        for name in parameters_of(case):
            yield await client.request(method, f"{path}?{quote(name)}={text}")
        for body in bodies_with(value, case.body) if case.media_type else ():
            yield await send_bytes(client, method, path, json.dumps(body).encode())
    for each in BODIES if case.media_type else ():
        yield await send_bytes(client, method, path, cast("bytes", each.values[0]))


def parameters_of(case: Request) -> list[str]:
    return [parameter.name for parameter in case.operation.query]


def path_of(case: Request, **texts: str) -> str:
    """Return the path, with other texts than the case's for some of its parameters."""
    known = {name: quote(str(value), "") for name, value in (case.path_parameters or {}).items()}
    return case.path.format_map({**known, **texts})


def bodies_with(value: Any, body: Any) -> Iterator[Any]:
    """Yield copies of the body, each with the value in another place."""
    yield value
    if isinstance(body, dict):
        for name, part in body.items():
            for changed in bodies_with(value, part):
                yield {**body, name: changed}
    elif isinstance(body, list) and body:
        for changed in bodies_with(value, body[0]):
            yield [changed, *body[1:]]


def wrong_refusals(documented: dict[str, Any], response: Response) -> Iterator[str]:
    """Yield what is wrong with the answer to a hostile request, whatever it is."""
    status = str(response.status_code)
    sent = f"{response.request.method} {str(response.request.url)[:200]}"
    body = response.request.content[:200]
    if status >= "500":
        yield f"It failed: {status} to {sent} {body!r}. Let the type of the field refuse the value."
    elif documented.keys().isdisjoint({status, f"{status[0]}XX", "default"}):
        yield (
            f"It answers {status}, which it does not document, to {sent} {body!r}. Add "
            f"responses=problems({status})."
        )
    elif response.is_error and "s3cret" in re.sub(r'"field": "[^"]*"', "", response.text):
        yield f"It repeats a value that it refuses: {response.text[:300]} to {sent} {body!r}."


async def wrong_methods(app: FastAPI, client: AsyncClient) -> AsyncIterator[Finding]:
    """Send the methods that a path does not document. `Allow` lists those that it does."""
    paths: dict[str, set[str]] = {
        path: {method.upper() for method in METHODS & {each.upper() for each in operations}}
        for path, operations in app.openapi()["paths"].items()
    }
    for operation in operations_of(app):
        path = path_of(valid_cases(operation, 1)[0])
        own = paths[operation.path]
        others = (re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(each)) for each in paths)
        matching = [
            methods
            for pattern, methods in zip(others, paths.values(), strict=True)
            if re.fullmatch(pattern, path)
        ]
        for method in sorted(METHODS - set().union(*matching)):
            response = await client.request(method, path)
            allowed = {each.strip() for each in response.headers.get("Allow", "").split(",")}
            if response.status_code != 405 or not own <= allowed:
                yield Finding(
                    f"{method} {operation.path}",
                    f"There is no such route, but the answer is {response.status_code} with "
                    f"Allow: {', '.join(sorted(allowed))}, and not 405 with Allow: "
                    f"{', '.join(sorted(own))}.",
                )
