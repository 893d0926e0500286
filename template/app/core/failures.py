"""What can go wrong in a database, in words that are the same for every database."""

from enum import Enum


class Failure(Enum):
    """What the database refused, the status of the response, and what the caller is told."""

    DUPLICATE = 409, "A record with these values already exists."
    REFERENCE = (
        409,
        "This refers to a record that does not exist, or is still referred to by another one.",
    )
    MISSING_VALUE = 500, "A required value is missing."  # the schema did not ask for it
    RULE = 422, "The values break a rule of the database."
    INVALID_VALUE = 422, "A value does not fit into the database."
    BUSY = 503, "Other requests are changing the same records."
    TIMEOUT = 503, "The database did not answer in time."
    UNAVAILABLE = 503, "The database cannot be reached."

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
