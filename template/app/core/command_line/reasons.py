"""Why a command could not use the database, in a sentence or two without secrets."""

import socket
import ssl
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.core import driver
from app.core.command_line.server_facts import CURES
from app.core.health import HOW_TO_START_IT
from app.core.settings import public_address

__all__ = ["explain", "public_address"]


def explain(error: BaseException, settings: Any, url: URL | None = None) -> str:
    """Return what is wrong, and what to do. `url` is that of the settings, unless it is given."""
    address = public_address(url or settings.primary_url)
    details = driver.details_of(error) if isinstance(error, DBAPIError) else {}
    cause = first_cause(error)
    reason = details.get("reason") or str(cause) or type(cause).__name__
    if isinstance(error, DBAPIError) and driver.failure_of(error) is None and error.statement:
        return f"{address} refused a statement: {reason}. {CURES.get(details['code'], '')}".strip()
    return f"{address} cannot be used: {reason}. {cure(cause, details.get('code', ''))}"


def first_cause(error: BaseException) -> BaseException:
    """Return the error of the network, if there is one beneath, or else that of the driver."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        inner = [each for each in (*found.args, found.__cause__) if isinstance(each, BaseException)]
        found = next(iter(inner), getattr(found, "orig", None))
    return found or getattr(error, "orig", None) or error


def cure(cause: BaseException, code: str) -> str:
    for name, sentence in CURES.items():
        if code and code.startswith(name):
            return sentence
    match cause:
        case ssl.SSLError():
            return "Check the certificates, and the options for TLS in the URL."
        case socket.gaierror():
            return "The host name cannot be resolved: check it in the URL."
        case TimeoutError():
            return "There is no answer: check host and port in the URL, and the firewall."
    return HOW_TO_START_IT
