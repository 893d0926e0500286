"""Errors that the caller is told about. `app/core/responses.py` makes a response of each."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from app.core.responses import (
        MEDIA_TYPE,
        RETRY_AFTER_SECONDS,
        InvalidField,
        Problem,
        handle_errors,
        problem_type,
        problems,
        respond,
    )
    from app.core.schemas import name_fields

__all__ = [
    "MEDIA_TYPE",
    "RETRY_AFTER_SECONDS",
    "AppError",
    "ConflictError",
    "InvalidError",
    "InvalidField",
    "NotFoundError",
    "Problem",
    "UnavailableError",
    "UnknownReferenceError",
    "handle_errors",
    "name_fields",
    "problem_type",
    "problems",
    "respond",
]


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
    """Find what was in this module up to 0.3, without importing FastAPI for the exceptions."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "app.core.schemas" if name == "name_fields" else "app.core.responses"
    return getattr(import_module(module), name)
