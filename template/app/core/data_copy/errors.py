"""Why data was not copied, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


class DataCopyError(Exception):
    """Why the data was not copied, in a sentence for the one who asked for it."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn whatever a database or a driver raises into a sentence: `what`, and the cause."""
    try:
        yield
    except DataCopyError:
        raise
    except Exception as error:  # drivers raise errors of their own, and Python's
        cause = getattr(error, "orig", None) or error
        if type(cause).__module__.startswith("sqlalchemy"):
            cause = cause.__cause__ or cause  # the driver's own words
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise DataCopyError(f"{what}: {reason}") from error
