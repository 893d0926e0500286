"""The kinds of database errors, the same for every database."""

from enum import Enum


class Failure(Enum):
    """A kind of database error, with the status and the detail of the response."""

    DUPLICATE = 409, "A record with these values already exists."
    REFERENCE = (
        409,
        "This refers to a record that does not exist, or is still referred to by another one.",
    )
    MISSING_VALUE = 500, "A required value is missing."  # the schema did not require it
    RULE = 422, "The values break a rule of the database."
    INVALID_VALUE = 422, "A value does not fit into the database."
    BUSY = 503, "Other requests are changing the same records."
    TIMEOUT = 503, "The database did not answer in time."
    UNAVAILABLE = 503, "The database cannot be reached."
    OUTDATED = 503, "The database does not have the newest tables yet."

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
