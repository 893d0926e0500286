"""The fields of a new domain: `--field "amount_cents:int"`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.command_line.new_domain.kinds import KINDS, REFERENCE, Kind
from app.core.command_line.new_domain.names import (
    UnusableError,
    check_field_name,
    class_name,
    words,
)
from app.core.command_line.new_domain.parents import Parent, Parents

CHOICE = re.compile(r"[a-z][a-z0-9_-]{0,49}")
OF_THE_CLASSES = {"create", "read", "repository", "service", "update"}  # as in `InvoiceCreate`


@dataclass(frozen=True)
class Choice:
    """A value of an enum, and the name of its member."""

    member: str
    value: str


@dataclass(frozen=True)
class Field:
    name: str
    kind: Kind
    is_nullable: bool = False
    is_unique: bool = False
    choice_class: str = ""
    choices: tuple[Choice, ...] = ()
    parent: Parent | None = None  # to which it refers

    @property
    def noun(self) -> str:
        return words(self.name.removesuffix("_id") if self.parent else self.name)

    @property
    def is_constrained(self) -> bool:
        """Whether the table has a constraint or an index that is named after it."""
        return bool(self.is_unique or self.parent or self.choices)

    @property
    def sample(self) -> str:
        """A valid value as JSON, as Python writes it."""
        if self.choices:
            return f'"{self.choices[0].value}"'
        return self._value(self.kind.distinct if self.is_unique else self.kind.sample)

    @property
    def another(self) -> str:
        return f'"{self.choices[-1].value}"' if self.choices else self._value(self.kind.another)

    def _value(self, written: str) -> str:
        return written.format(label=self.noun.capitalize(), noun=self.noun)

    def column(self, *, soft_delete: bool) -> str:
        """Return what follows the name in the model. A unique constraint may be the table's."""
        options = [self.kind.option] if self.kind.option else []
        if self.parent:
            options.append(f'ForeignKey("{self.parent.table}.id")')
        if self.choices and not self.is_nullable:
            first = self.choices[0]
            options.append(f"default={self.choice_class}.{first.member}")
            options.append(f'server_default="{first.value}"')
        if self.kind is KINDS["bool"] and not self.is_nullable:
            options += ["default=False", "server_default=false()"]
        if self.is_unique and not soft_delete:
            options.append("unique=True")
        if self.parent and not self.is_unique:
            options.append("index=True")
        annotation = f"Mapped[{self._optional(self.choice_class or self.kind.column)}]"
        return f"{annotation} = mapped_column({', '.join(options)})" if options else annotation

    @property
    def create(self) -> str:
        """What follows the name in the schema of a request that creates a record."""
        type_ = self._optional(self.choice_class or self.kind.request)
        if self.is_nullable:
            return f"{type_} = None"
        if self.choices:
            return f"{type_} = {self.choice_class}.{self.choices[0].member}"
        return f"{type_} = False" if self.kind is KINDS["bool"] else type_

    @property
    def update(self) -> str:
        type_ = self._optional(self.choice_class or self.kind.request)
        return f"{type_} = None" if self.is_nullable else f"{type_} = optional()"

    @property
    def read(self) -> str:
        return self._optional(self.choice_class or self.kind.response)

    def _optional(self, type_: str) -> str:
        return f"{type_} | None" if self.is_nullable else type_


def parse_fields(texts: Sequence[str], singular: str, parents: Parents) -> tuple[Field, ...]:
    """Return the fields, or raise `UnusableError`. A type that is none of `KINDS` is a table."""
    fields = [parse_field(text, singular, parents) for text in texts]
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise UnusableError(f"Two fields are named {name!r}.")
    return tuple(fields)


def parse_field(text: str, singular: str, parents: Parents) -> Field:
    name, _, type_ = (part.strip() for part in text.partition(":"))
    if not type_:
        raise UnusableError(f"{text!r} is no field: write its name and type, such as name:str.")
    check_field_name(name)
    is_unique = type_.endswith(":unique") or "!" in type_
    is_nullable = "?" in type_
    type_ = type_.removesuffix(":unique").rstrip("!?")
    if "|" in type_:
        if name in OF_THE_CLASSES:
            raise UnusableError(f"{name!r} cannot be the name of an enum: a class is called so.")
        field = Field(
            name,
            KINDS["str"],
            is_nullable,
            choice_class=class_name(f"{singular}_{name}"),
            choices=parse_choices(name, type_),
        )
    elif type_ in KINDS:
        in_cents = type_ == "int" and name.endswith("_cents")
        field = Field(name, KINDS["cents" if in_cents else type_], is_nullable, is_unique)
    elif type_ in parents.models:
        if not name.endswith("_id"):
            raise UnusableError(f"{name!r} refers to {type_}: call it {name}_id.")
        field = Field(name, REFERENCE, is_nullable, is_unique, parent=parents.find(type_))
    else:
        types = ", ".join(each for each in KINDS if each != "cents")
        tables = ", ".join(sorted(parents.models)) or "none yet"
        raise UnusableError(
            f"{type_!r} is no type and no table. Types are {types}, and draft|sent|paid for an"
            f" enum. Tables are: {tables}."
        )
    if is_unique and (field.choices or not field.kind.distinct):
        raise UnusableError(f"{name!r} cannot be unique: its type has too few values, or too long.")
    return field


def parse_choices(name: str, text: str) -> tuple[Choice, ...]:
    values = [value.strip() for value in text.split("|")]
    members = [value.upper().replace("-", "_") for value in values]
    for value, member in zip(values, members, strict=True):
        if not CHOICE.fullmatch(value) or members.count(member) > 1:
            raise UnusableError(
                f"{value!r} cannot be a value of {name!r}: write different values of at most 50"
                " lower-case letters, digits, hyphens and underscores, such as draft|sent|paid."
            )
    return tuple(map(Choice, members, values))
