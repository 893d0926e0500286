"""Errors that the caller is told about. `app/core/responses.py` makes a response of each."""

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
    """Raise a subclass anywhere: the caller receives its status and its message."""

    status: ClassVar[int]
    problem_type: ClassVar[str | None] = None
    """The `type` of the response, which clients may depend on: `urn:problem:already-paid`.

    A subclass without one gets it from its name, which then cannot be changed.
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
    """Not now; the same request may succeed in a moment."""

    status = 503


def __getattr__(name: str) -> Any:
    """Find a name that moved. Importing it only now keeps FastAPI away from the exceptions."""
    if name not in MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MOVED[name]), name)
