"""Requests for the application's routes, generated from its documentation by schemathesis."""

import copy
import json
from contextlib import suppress
from typing import Any

import schemathesis
from fastapi import FastAPI
from httpx import AsyncClient, Response
from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, SerializationContext
from schemathesis.errors import SchemathesisError

from app.core.streaming import MEDIA_TYPE

CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            # It repeats requests with a client of its own, which does not know the application.
            "ignored_auth": {"enabled": False},
            # Fields that are not strict accept "7" and true for 7, which a JSON schema does not.
            "negative_data_rejection": {"enabled": False},
        },
        "generation": {"allow-x00": False},  # the hostile values have it
    }
)
# Addresses that every check accepts: others have a domain such as `.test`.
ADDRESSES = strategies.from_regex(r"[a-z][a-z0-9]{0,20}@example\.(com|org)", fullmatch=True)
schemathesis.openapi.format("email", ADDRESSES)
Operation = APIOperation[Any, Any, Any, Any]
Request = Case[Any]


@schemathesis.serializer(MEDIA_TYPE)
def write_line(_: SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def operations_of(app: FastAPI) -> list[Operation]:
    schema = schemathesis.openapi.from_dict(copy.deepcopy(app.openapi()), config=CONFIG)
    results: list[Any] = list(schema.get_all_operations())
    return [result.ok() for result in results]  # FastAPI's own documentation is valid


def generate(operation: Operation, mode: GenerationMode, count: int) -> list[Request]:
    """Return the same cases at every call. There are fewer if there are no others."""
    found: list[Request] = []

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Request) -> None:
        found.append(case)

    with suppress(Unsatisfiable):  # nothing can be invalid where there are no values
        collect()
    return found


def tidy(value: Any) -> Any:
    """Avoid two values that a JSON schema allows, and strict fields of pydantic do not.

    They are whole numbers that are written as 7.0, and blank text where spaces are stripped.
    """
    if isinstance(value, dict):
        return {name: tidy(each) for name, each in value.items()}
    if isinstance(value, list):
        return [tidy(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and not value.strip():
        return "x" * len(value)
    return value


def valid_cases(operation: Operation, count: int) -> list[Request]:
    cases = generate(operation, GenerationMode.POSITIVE, count)
    for case in cases:
        case.body = tidy(case.body)
        case.query = tidy(case.query)
    return cases


def cases_of(operation: Operation, app: FastAPI, count: int) -> list[Request]:
    """Return generated requests, and those with the examples of its documentation."""
    try:
        cases = valid_cases(operation, count)
    except SchemathesisError:
        return []
    schemas = app.openapi().get("components", {}).get("schemas", {})
    documented = app.openapi()["paths"][operation.path][operation.method.lower()]
    content = documented.get("requestBody", {}).get("content", {}).get(cases[0].media_type, {})
    reference = content.get("schema", {})
    schema = schemas.get(reference.get("$ref", "").rpartition("/")[2], reference)
    examples = [each["value"] for each in content.get("examples", {}).values()]
    for case, example in zip(cases, (*examples, *schema.get("examples", ())), strict=False):
        case.body = example
    return cases


async def send(client: AsyncClient, case: Request) -> Response:
    """Send the case as schemathesis would, and JSON also of what httpx refuses to encode."""
    request = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = dict(request.get("headers") or {})
    options: dict[str, Any] = {}
    if "json" in request:
        options["content"] = json.dumps(request["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    elif isinstance(request.get("data"), dict) or request.get("files"):
        options |= {"data": request.get("data"), "files": request.get("files")}
    elif request.get("data") is not None:
        options["content"] = request["data"]
    if cookies := request.get("cookies"):
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    method, url, query = request["method"], request["url"], request.get("params")
    return await client.request(method, url, params=query, headers=headers, **options)
