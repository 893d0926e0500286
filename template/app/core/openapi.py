"""Document the errors that every endpoint can return."""

from typing import Any

from app.core.responses import MEDIA_TYPE, Problem, title_of

REFERENCES = "#/components/schemas/{model}"


def document_problems(schema: dict[str, Any]) -> None:
    """Replace FastAPI's error format with ours, and add the errors of every endpoint."""
    for path in schema["paths"].values():
        for operation in path.values():
            responses: dict[str, Any] = operation["responses"]
            statuses = {status for status in responses if status >= "400"} | {"500", "503"}
            if "requestBody" in operation:
                statuses |= {"400", "413"}
            if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ())):
                statuses |= {"409"}
            for status in sorted(statuses):
                content = {MEDIA_TYPE: {"schema": {"$ref": REFERENCES.format(model="Problem")}}}
                title = title_of(int(status)) if status.isdecimal() else "Error"
                responses[status] = {"description": title, "content": content}
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    ours = Problem.model_json_schema(ref_template=REFERENCES)
    schemas |= ours.pop("$defs")
    schemas["Problem"] = ours
