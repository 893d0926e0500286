"""The names of a new domain, and of its fields: what can be used, and what follows from it."""

import keyword
import re

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 40  # the name of a constraint has that of the table in it
IRREGULAR = {"children": "child", "people": "person", "statuses": "status"}
IRREGULAR |= {"news": "news", "series": "series"}
ENDINGS = [("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")]
# Names of the generated modules: a class attribute must not hide the type that follows it.
OF_THE_FILES = {"bool", "date", "datetime", "false", "int", "optional", "session", "str"}
OF_THE_API = {"router", "domains", "docs", "health", "redoc"}


class UnusableError(Exception):
    """What was written on the command line cannot be used. The message says why."""


def check_name(name: str, what: str) -> None:
    """Raise `UnusableError` if it cannot be the name of a module, a table or a column."""
    if not NAME.fullmatch(name):
        raise UnusableError(
            f"{name!r} cannot be the name of {what}: write lower-case letters, digits and single"
            " underscores, a letter first, such as line_items."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UnusableError(f"{name!r} cannot be the name of {what}: it is a keyword of Python.")
    if len(name) > LONGEST_NAME:
        raise UnusableError(
            f"{name!r} cannot be the name of {what}: it has more than {LONGEST_NAME} characters."
        )


def check_domain_name(name: str) -> None:
    check_name(name, "a domain")
    if name in OF_THE_API | OF_THE_FILES:
        raise UnusableError(f"{name!r} cannot be the name of a domain: the service uses it.")


def check_field_name(name: str) -> None:
    """Raise `UnusableError` also if records or schemas have an attribute of that name."""
    from app.core.schemas import RecordRead
    from app.core.soft_delete import SoftDeletable

    check_name(name, "a field")
    inherited = {*dir(SoftDeletable), *dir(RecordRead), *RecordRead.model_fields}
    if name in inherited | OF_THE_FILES:
        raise UnusableError(
            f"{name!r} cannot be the name of a field: the code of a domain uses it already."
        )


def singular_of(name: str) -> str:
    """Return what one record of the domain is called, or raise `UnusableError`."""
    *others, last = name.split("_")
    found = IRREGULAR.get(last) or next(
        (last.removesuffix(plural) + one for plural, one in ENDINGS if last.endswith(plural)),
        last.removesuffix("s"),
    )
    if found == last or last.endswith(("ss", "us", "is")):
        raise UnusableError(
            f"{name!r} is no plural that is known. Name a domain in the plural, such as invoices,"
            " or say what one record is called: --singular."
        )
    return "_".join([*others, found])


def words(name: str) -> str:
    return name.replace("_", " ")


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def article(noun: str) -> str:
    sounds_like_a_consonant = noun.startswith(("eu", "one", "uni", "use", "uti"))
    return "an" if noun[0] in "aeiou" and not sounds_like_a_consonant else "a"
