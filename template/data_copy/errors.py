"""Why data was not copied, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


class DataCopyError(Exception):
    """Its text is a sentence for the user of the command."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise a `DataCopyError` for any error of a database or driver: `what`, and the cause."""
    try:
        yield
    except DataCopyError:
        raise
    except Exception as error:  # drivers raise exceptions of their own and built-in ones
        cause = getattr(error, "orig", None) or error
        if type(cause).__module__.startswith("sqlalchemy"):
            cause = cause.__cause__ or cause  # the driver's message
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise DataCopyError(f"{what}: {reason}") from error
