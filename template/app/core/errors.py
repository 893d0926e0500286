"""Errors that are reported to the caller. `app/core/responses.py` builds the responses."""

from importlib import import_module
from typing import Any, ClassVar

# Where the names that were in this module up to 0.3 are now.
MOVED = {
    "MEDIA_TYPE": "app.core.responses",
    "RETRY_AFTER_SECONDS": "app.core.responses",
    "InvalidField": "app.core.responses",
    "Problem": "app.core.responses",
    "handle_errors": "app.core.responses",
    "name_fields": "app.core.schemas",
    "problem_type": "app.core.responses",
    "problems": "app.core.responses",
    "respond": "app.core.responses",
}


class AppError(Exception):
    """The base of errors that the caller receives, with their status and message."""

    status: ClassVar[int]
    problem_type: ClassVar[str | None] = None
    """The `type` of the response, such as `urn:problem:already-paid`. Clients may depend on it.

    If it is not set, it is derived from the name of the class. Renaming the class changes it.
    """


class NotFoundError(AppError):
    status = 404


class ConflictError(AppError):
    status = 409


class UnknownReferenceError(ConflictError):
    """The request refers to a record that does not exist."""


class InvalidError(AppError):
    status = 422


class UnavailableError(AppError):
    """The request cannot be served now. The same request may succeed later."""

    status = 503


def __getattr__(name: str) -> Any:
    """Return a name that moved. The import is lazy, so that exceptions do not need FastAPI."""
    if name not in MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MOVED[name]), name)
