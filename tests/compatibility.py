"""Which changes of the interface are incompatible: code that was right before may be wrong now.

The default of a parameter is part of it: who leaves the parameter out means that value. The default
of a setting and the value of a constant may be tuned: nobody's code has to change for it.
"""

import re
from collections.abc import Iterator
from math import inf

import griffe

from tests.interface import declaration, describe, kind, members, signature

# A setting that the environment gives: its default may be tuned, what it takes may grow.
SETTINGS = "CoreSettings"


def unannounced(found: list[str], since: str, now: str, notes: str) -> list[str]:
    """Incompatible is only what a new major version brings, and CHANGELOG.md names."""
    if int(now.partition(".")[0]) <= int(since.partition(".")[0]):
        return found
    return [what for what in found if what.partition(":")[0].rpartition(".")[2] not in notes]


def incompatible(before: list[griffe.Module], now: list[griffe.Module]) -> list[str]:
    """What code that was written for `before` may stumble over: `path: what`."""
    found = []
    for old, new in zip(before, now, strict=True):
        for breakage in griffe.find_breaking_changes(old, new):
            name = getattr(breakage.old_value or breakage.new_value, "name", "")
            found.append(f"{breakage.obj.path}: {breakage.kind.value} {name}".rstrip())
        found += changes(old, new)
    return sorted(set(found))


def changes(old: griffe.Object, new: griffe.Object) -> Iterator[str]:
    """What griffe does not compare: types, bases, decorators, and what has to be given."""
    for named in members(old):
        if isinstance(named, griffe.Alias) and named.name not in new.members:
            yield f"{named.path}: Public name was removed"
        member, other = actual(named), actual(new.members.get(named.name))
        match member, other:
            case griffe.Module(), griffe.Module():
                yield from changes(member, other)
            case griffe.Class(), griffe.Class():
                same = kind(member) == kind(other)
                bases = {present_names(base, other.module) for base in member.bases}
                if not (same and bases <= ancestors(other)):
                    yield f"{member.path}: is not the same kind of class"
                yield from (
                    f"{added.path}: is asked of the owner" for added in asked(member, other)
                )
                yield from changes(member, other)
            case griffe.Function(), griffe.Function():
                if not same_use(member, other):
                    yield f"{member.path}: {signature(member)} -> {signature(other)}"
            case griffe.Attribute(), griffe.Attribute():
                compare = same_setting if old.name == SETTINGS else same_value
                if not compare(member, other):
                    yield f"{member.path}: {next(describe(member))} -> {next(describe(other))}"


def ancestors(member: griffe.Class) -> set[str]:
    """The bases as they are written, and those of each base that is the template's own."""
    found = set(map(str, member.bases))
    for base in map(actual, member.resolved_bases):
        found |= ancestors(base) if isinstance(base, griffe.Class) else set()
    return found


def actual(member: griffe.Object | griffe.Alias | None) -> griffe.Object:
    """What an alias stands for, else the object itself; an empty one for what is not there."""
    if isinstance(member, griffe.Alias):
        return member.final_target
    return member or griffe.Object("")


def present_names(text: object, module: griffe.Module) -> str:
    """The text with the names that `module` keeps as aliases replaced by those they stand for."""
    for name, member in module.members.items():
        if isinstance(member, griffe.Alias) and not member.is_imported:
            text = re.sub(rf"\b{name}\b", member.final_target.name, str(text))
    return str(text)


def asked(old: griffe.Class, new: griffe.Class) -> list[griffe.Attribute]:
    """New values that have to be given, and new columns, which tables have to get."""
    added = [new.members[name] for name in new.members.keys() - old.members.keys()]
    return [
        member
        for member in added
        if isinstance(member, griffe.Attribute) and member.annotation and member.is_public
        if "property" not in member.labels
        if required(member) or str(member.annotation).startswith("Mapped[")
    ]


def same_use(old: griffe.Function, new: griffe.Function) -> bool:
    """Parameters may take more types, and the result may be of fewer."""
    given = {parameter.name: parameter.annotation for parameter in new.parameters}
    return (
        kind(old) == kind(new)
        and all(
            takes(given[one.name], one.annotation) for one in old.parameters if one.name in given
        )
        and takes(old.returns, new.returns)
        and set(map(signature, old.overloads or ())) <= set(map(signature, new.overloads or ()))
    )


def takes(wide: object, narrow: object) -> bool:
    """Whether `wide` has all that `narrow` lists with `|`. Types count as they are written."""
    return set(str(narrow).split(" | ")) <= set(str(wide).split(" | "))


def same_value(old: griffe.Attribute, new: griffe.Attribute) -> bool:
    same = kind(old) == kind(new) and str(old.annotation) == str(new.annotation)
    before = without_validators(present_names(declaration(old), new.module))
    return same and before == without_validators(declaration(new))


def without_validators(declared: str) -> str:
    """Validators are as numbers are: bounds of the values, which may change."""
    return re.sub(r", AfterValidator\(\w+\)", "", declared)


def same_setting(old: griffe.Attribute, new: griffe.Attribute) -> bool:
    """What an environment holds stays valid and enough; a default may be tuned."""
    if "property" in old.labels or not old.annotation:
        return same_value(old, new)
    before, now = bounds(old), bounds(new)
    return (
        takes(new.annotation, old.annotation)
        and required(new) <= required(old)
        and all(limit <= before.get(name, -inf) for name, limit in now.items())
    )


def required(attribute: griffe.Attribute) -> bool:
    value = str(attribute.value)
    return attribute.value is None or (value.startswith("Field(") and "default" not in value)


def bounds(attribute: griffe.Attribute) -> dict[str, float]:
    """The limits that a field has, those from above turned round: a higher one refuses more."""
    found = re.findall(r"\b([gl][et])=(-?[\d.]+)", str(attribute.value))
    return {name: float(limit) * (1 if name[0] == "g" else -1) for name, limit in found}
