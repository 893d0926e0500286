"""What is taken out of log lines: secrets, and characters that control a terminal."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"
TEXTS_OF_THE_CODE = {"event", "exception", "stack"}  # may contain line breaks
MAX_DEPTH = 20

# Words of a name: `X-Api-Key`, `set_cookie`, `accessToken`, `PGPASSWORD`, but not `tokenizer`.
SECRET_NAME = re.compile(
    "(?:(?<![a-z])(?:api[^a-z0-9]*key|authorization|cookie|credential|secret|token)"
    "|passphrase|passwd|password)s?(?![a-z])"
)
NEXT_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
CREDENTIALS = re.compile(r"\b(bearer|basic)[ \t]+[\w.~+/=-]+", re.IGNORECASE)
# What follows `://`. Digits are a port, unless an @ comes directly after them.
USER = re.compile(r"[^\s/:@]*:(?![0-9]{1,5}(?![^/?#\s]))")


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return redact_fields(event)


def redact_fields(fields: Mapping[Any, Any], depth: int = 0) -> dict[Any, Any]:
    """Replace the values of fields with such a name, and credentials in texts."""
    return {name: redact_field(name, value, depth) for name, value in fields.items()}


def redact_field(name: Any, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool) or not is_secret(name):
        return redact_value(value, depth)
    return REDACTED


def redact_value(value: Any, depth: int = 0) -> Any:
    """Return JSON's types: other objects become what the log would show of them."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= MAX_DEPTH:
        return "[nested too deeply]"
    if isinstance(value, Mapping):
        return redact_fields(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return redact_pair(value) or [redact_value(each, depth + 1) for each in value]
    return redact_text(repr(value))


def redact_pair(value: Any) -> list[Any] | None:
    """Redact a header as ASGI and HTTP libraries write it: `(b"cookie", b"…")`."""
    if isinstance(value, list | tuple) and len(value) == 2 and is_secret(value[0]):
        return [redact_value(value[0]), REDACTED]
    return None


def is_secret(name: Any) -> bool:
    if not isinstance(name, str):
        return isinstance(name, bytes) and is_secret(name.decode("latin-1"))
    return is_secret_name(name) if len(name) <= 100 else has_secret_word(name)


def has_secret_word(name: str) -> bool:
    return SECRET_NAME.search(NEXT_WORD.sub(" ", name).lower()) is not None


# Most names are the same in each line.
is_secret_name = lru_cache(maxsize=1024)(has_secret_word)


def redact_text(text: str) -> str:
    """Replace the password of each URL, and what follows `Bearer` or `Basic`."""
    if "://" in text and "@" in text:
        before, *others = text.split("://")
        text = "://".join([before, *map(redact_password, others)])
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:  # most texts need no regular expression
        text = CREDENTIALS.sub(rf"\1 {REDACTED}", text)
    return text


def redact_password(text: str) -> str:
    """Replace what is between `user:` at the beginning and the last @ of the line."""
    user = USER.match(text)
    end = text.rfind("@", 0, text.find("\n") if "\n" in text else None)
    if user is None or end < user.end():
        return text
    return f"{user[0]}{REDACTED}{text[end:]}"


def escape_texts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape control characters, which a client could send to manipulate a terminal."""

    def escape(text: str, allowed: str) -> str:
        return "".join(
            character
            if character.isprintable() or character in allowed
            else character.encode("unicode_escape").decode()
            for character in text
        )

    return {
        name: escape(value, "\n\t" if name in TEXTS_OF_THE_CODE else "")
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }
