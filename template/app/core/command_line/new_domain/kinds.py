"""The types of the fields of a new domain."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How a type is written: in the model, in requests and responses, and as values in tests."""

    column: str
    request: str
    response: str
    sample: str
    another: str
    distinct: str = ""  # a new value each time; without one, the column cannot be unique
    option: str = ""


KINDS = {
    "str": Kind(
        column="ShortText",
        request="ShortText",
        response="str",
        sample='"{label}"',
        another='"Another {noun}"',
        distinct='f"{label} {{next(NUMBERS)}}"',
    ),
    "text": Kind(
        column="LongText",
        request="LongText",
        response="str",
        sample='"A long {noun}."',
        another='"Another {noun}."',
    ),
    "int": Kind(
        column="int",
        request="Int32",
        response="int",
        sample="1",
        another="2",
        distinct="next(NUMBERS)",
    ),
    "bigint": Kind(
        column="int",
        request="Int64",
        response="int",
        sample="2**40",
        another="2**41",
        distinct="2**40 + next(NUMBERS)",
        option="BigInteger",
    ),
    "cents": Kind(
        column="Cents",
        request="Cents",
        response="int",
        sample="1_000",
        another="2_000",
        distinct="next(NUMBERS)",
    ),
    "decimal": Kind(
        column="Amount",
        request="Amount",
        response="Decimal",
        sample='"10.50"',
        another='"20.00"',
        distinct='f"{{next(NUMBERS)}}.00"',
    ),
    "bool": Kind(
        column="bool", request="StrictBool", response="bool", sample="False", another="True"
    ),
    "date": Kind(
        column="date",
        request="date",
        response="date",
        sample='"2026-01-31"',
        another='"2026-02-28"',
        distinct="str(date(2026, 1, 31) + timedelta(days=next(NUMBERS)))",
    ),
    "datetime": Kind(
        column="datetime",
        request="Instant",
        response="datetime",
        sample='"2026-01-31T12:00:00Z"',
        another='"2026-02-28T12:00:00Z"',
        distinct='f"2026-01-31T12:00:00.{{next(NUMBERS):06}}Z"',
    ),
    "uuid": Kind(
        column="UUID",
        request="UUID",
        response="UUID",
        sample="str(uuid4())",
        another="str(uuid4())",
        distinct="str(uuid4())",
    ),
}
REFERENCE = KINDS["uuid"]
