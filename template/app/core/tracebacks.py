"""Tracebacks for the log, without the values that database messages contain."""

import re
import traceback
from collections.abc import Iterator
from types import TracebackType

from sqlalchemy.exc import DBAPIError

from app.core import driver

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def format_traceback(exc_info: ExceptionInfo) -> str:
    """Return the traceback. Database messages that may contain values are left out."""
    text = "".join(traceback.format_exception(*exc_info)).rstrip()
    for error in related(exc_info[1]):
        if isinstance(error, DBAPIError) and error.orig is not None:
            shown = driver.details_of(error).get("reason", "(not logged: it may contain values)")
            for cause in (error.orig, error.orig.__cause__):
                text = replace(text, str(cause or ""), shown)
    return text


def related(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, its causes and contexts, and the members of groups."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def replace(text: str, message: str, shown: str) -> str:
    """Replace the message, whose lines are indented in the traceback of a group."""
    if not message:
        return text
    pattern = r"\n[ |]*".join(map(re.escape, message.split("\n")))
    return re.sub(pattern, lambda _: shown, text)
