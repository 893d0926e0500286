"""A new domain, as its files need it."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.command_line.new_domain.fields import Field
from app.core.command_line.new_domain.names import article, class_name, words
from app.core.command_line.new_domain.parents import Factory

# Names of the generated tests, which a record cannot have there.
OF_THE_TESTS = {"app", "before", "changes", "client", "count", "data", "expected", "first", "path"}
OF_THE_TESTS |= {"created", "deleted", "method", "response", "rest", "restored", "session"}


@dataclass(frozen=True)
class Domain:
    """`name` is also that of its table. `once` is whether a POST may have an Idempotency-Key."""

    name: str
    singular: str
    fields: tuple[Field, ...]
    soft_delete: bool = False
    service: bool = False
    once: bool = False

    @property
    def model(self) -> str:
        return class_name(self.singular)

    @property
    def path(self) -> str:
        return "/" + self.name.replace("_", "-")

    @property
    def noun(self) -> str:
        return words(self.singular)

    @property
    def nouns(self) -> str:
        return words(self.name)

    @property
    def article(self) -> str:
        return article(self.singular)

    @property
    def variable(self) -> str:
        return "record" if self.singular in OF_THE_TESTS else self.singular

    @property
    def constraints(self) -> list[str]:
        """Return those of the table, which a soft delete adds."""
        unique = [f'UniqueConstraint("{each.name}", "is_live")' for each in self.unique_fields]
        return [*unique, "live_or_deleted()"] if unique else ["live_or_deleted(),"]

    @property
    def unique_fields(self) -> list[Field]:
        return [field for field in self.fields if field.is_unique]

    @property
    def references(self) -> list[Field]:
        return [field for field in self.fields if field.parent]

    @property
    def checked_references(self) -> list[Field]:
        """Return those that a service looks up: through the repository of the other domain."""
        return [field for field in self.fields if field.parent and field.parent.repository]

    @property
    def unchecked_references(self) -> dict[str, str]:
        """Return those that may refer to records that are only hidden, with their tables."""
        parents = {field.name: field.parent for field in self.fields if field.parent}
        return {
            name: parent.table
            for name, parent in parents.items()
            if parent.is_soft_deleted and not (self.service and parent.repository)
        }

    @property
    def parent_repositories(self) -> dict[str, tuple[str, str]]:
        parents = [field.parent for field in self.fields if field.parent]
        return {each.table: each.repository for each in parents if each.repository}

    @property
    def may_conflict(self) -> bool:
        return bool(self.once or self.unique_fields or self.references)

    @property
    def changed(self) -> Field | None:
        """Return the field that the test of PATCH changes."""
        own = [field for field in self.fields if not field.parent]
        return next((field for field in own if not field.is_unique), own[0] if own else None)

    @property
    def factories(self) -> list[Factory]:
        """Return those of all records that its tests need, each after those that it needs."""
        found: dict[str, Factory] = {}
        for field in self.fields:
            if field.parent:
                found |= {each.name: each for each in with_needs(field.parent.factory)}
        return [*found.values()]

    @property
    def needs_numbers(self) -> bool:
        values = [field.sample for field in self.fields if field.is_unique and not field.parent]
        values += [value for factory in self.factories for value in factory.arguments]
        return any("NUMBERS" in value for value in values)

    @property
    def budgets(self) -> dict[str, tuple[int, int]]:
        """Return the statements and round trips of each route in its tests."""
        record = f"{self.path}/{{{self.singular}_id}}"
        looked_up = len(self.checked_references) if self.service else 0
        budgets = {
            f"GET {self.path}": (1, 1),
            f"POST {self.path}": (1 + looked_up, 3 + looked_up),
            f"DELETE {record}": (2, 4),
            f"GET {record}": (1, 1),
            f"PATCH {record}": (2, 4),
        }
        return budgets | ({f"POST {record}/restore": (2, 4)} if self.soft_delete else {})


def with_needs(factory: Factory) -> Iterator[Factory]:
    for each in factory.needs:
        yield from with_needs(each)
    yield factory
