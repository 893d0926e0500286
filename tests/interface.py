"""What the template's code offers to the owner's, as text: the interface that is promised.

`uv run python -m tests.interface` writes `tests/interface.txt`. What stands there is promised. A
value that stands there as `...` may be tuned by any release; an underscore promises nothing.
"""

import ast
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import copier
import griffe
from copier.errors import DirtyLocalWarning

from tests.repository import TOP

RECORD = TOP / "tests" / "interface.txt"
OFFERED = ("app.core", "tests.conftest", "tests.core.hostile")
# Public by name, and still the template's own affair: no owner's code has a use for it.
OWN = re.compile(
    r"""\bTypeVar\(|get_?[lL]ogger\(
    |app\.core\.application\.(NOT_IN_ITS_FOLDER|PYPROJECT|find_pyproject|spare_the_collector|tune_garbage_collection)$
    |app\.core\.(errors|responses)\.respond_to_\w+$
    |app\.core\.health\.(HOW_TO_START_IT|Readiness|VERSIONS|WHAT_TO_DO|read_revisions?)$
    |app\.core\.answers\.(Answer|StoredAnswer\.__\w+|find_model|select_answer)$
    |app\.core\.idempotency\.(WITHOUT_BODY|adapter_of|answer_of|caller_of|get_once|respond|row_of)$
    |app\.core\.idempotency\.Once\.(__init__|claim|model|route|row|store)$
    |app\.core\.inserts\.(empty_fields_of|(upsert|write)_\w+)$
    |app\.core\.imports\.(BATCH_BYTES|LINE_BYTES|MEMORY_BYTES|describe)$
    |app\.core\.logs\.(CLIENT_LEFT|PLAIN_FIELDS|REQUEST_ID|TEXTS_OF_THE_CODE|drop_colors)$
    |app\.core\.logs\.(escape_texts|is_not_logged_here)$
    |app\.core\.settings\.(DEVELOPMENT|Environment|Hosts|NOT_SET|public_address)$
    |app\.core\.safety\.(?!unsafe_settings$)\w+$
    |app\.core\.(autogenerate|connections|execution|headers|hosts|limits|migrations)\.
    |app\.core\.(documentation|index|statement_endpoint|statement_log)\.
    |app\.core\.command_line\.output\.(MARKUP_MODE|PROGRESS_AFTER_SECONDS|UNDONE|WIDTH\w+|describe_\w+)$
    |app\.core\.driver\.(lacks_table_or_column|null_in_most_rows)$
    |app\.core\.logs\.has_colors$
    |app\.core\.(portable_types|redaction|revisions|shutdown|tracebacks)\.
    |app\.core\.cursors\.(BOUNDED|CursorQuery\.(?!__init__)\w+|inner_type|is_unary)$
    |app\.core\.registry\.(columns_of|fields_of)$
    |app\.core\.(database\.refuse_locks|errors\.__getattr__)$
    |app\.core\.defaults\.(Default|Same|convert|default_of|defaults_of|is_now)$
    |app\.core\.direct\.(DirectQuery|announce|as_database_error|call|invalidate|recorders)$
    |app\.core\.driver\.(DEFAULT_MIGRATION_URL|TrackedConnection|begin|commit|is_useless|roll_back)$
    |app\.core\.(engine\.most_connections|pagination\.beyond)$
    |app\.core\.purge\.(delete_unreferenced|purge_batch|references)$
    |app\.core\.responses\.(allowed_methods|title_of)$
    |app\.core\.sessions\.(LOST|(Lazy|Read)Session\.\w+|Write(Once|Session)|close_session)$
    |app\.core\.sessions\.refuse_locks$
    |app\.core\.sessions\.(can_call_driver|connection_of|engine_of|execute|flush)$
    |app\.core\.schemas\.(MAX_TEXT_BYTES|fit_into_text_column)$
    |app\.core\.seeds\.(INTERVAL|START|density|instant_of)$
    |app\.core\.seeds\.SeedContext\.(__init__|begin|counts|densities|domain|ids|seed)$
    |app\.core\.soft_delete\.(DeletedRows|HIDDEN|SHOWN|hide_from_bulk_update|refuse_deleted)$
    |app\.core\.streaming\.PART_BYTES$
    |app\.core\.data_copy$
    |app\.core\.command_line\.(?!output\b)
    |app\.core\.models\.(Base\.__init_subclass__|as_utc|check_choices|set_id)$
    |app\.core\.(openapi\.\w+|soft_delete\.(HIDE_DELETED|hide_deleted))$
    |tests\.conftest\.(OF_A_DEPLOYMENT|SETTINGS_FILE|server|pytest_\w+)$""",
    flags=re.VERBOSE,
)


def load(project: Path) -> list[griffe.Module]:
    """What a rendered project offers. Nothing of it is imported."""
    loader = griffe.GriffeLoader(search_paths=[project], allow_inspection=False)
    modules = [loader.load(name) for name in OFFERED]
    found = [module for module in modules if isinstance(module, griffe.Module)]
    for module in found:
        forget_own(module)
        note_aliases(module)
    return found


def note_aliases(module: griffe.Module) -> None:
    """Old names that are kept: `Old = New`, `Old = module.Old`, and what `MOVED` says."""
    if isinstance(moved := module.members.pop("MOVED", None), griffe.Attribute):
        for name, place in ast.literal_eval(str(moved.value)).items():
            module.members[name] = griffe.Alias(name, f"{place}.{name}", parent=module)
    for name, member in list(module.members.items()):
        if isinstance(member, griffe.Module):
            note_aliases(member)
            continue
        value = member.value if isinstance(member, griffe.Attribute) else None
        if str(value) == f"sessions.{name}":
            place = f"app.core.{value}"
            module.members[name] = griffe.Alias(name, place, parent=module)
            continue
        other = module.members.get(value.name) if isinstance(value, griffe.ExprName) else None
        if isinstance(other, griffe.Object):
            module.members[name] = griffe.Alias(name, other, parent=module)


def forget_own(module: griffe.Module | griffe.Class) -> None:
    for name, member in list(module.members.items()):
        value = str(member.value) if isinstance(member, griffe.Attribute) else ""
        if OWN.search(member.path) or OWN.search(value):
            del module.members[name]
        elif isinstance(member, griffe.Module | griffe.Class):
            forget_own(member)
        elif isinstance(member, griffe.Function) and "@pytest.fixture" in kind(member):
            member.parameters = griffe.Parameters()  # the fixtures that it needs may change


def members(parent: griffe.Object) -> Iterator[griffe.Object | griffe.Alias]:
    """What is public in a module or a class, by name; what it only imports is not."""
    for _, member in sorted(parent.members.items()):
        old_name = isinstance(member, griffe.Alias) and not member.is_imported
        if old_name or (member.is_public and not member.is_alias):
            yield member


def write(module: griffe.Module) -> Iterator[str]:
    """The module, then its functions, classes and values, each in a line; then its modules."""
    inner = [member for member in members(module) if isinstance(member, griffe.Module)]
    own = [line for member in members(module) if member not in inner for line in describe(member)]
    if own:
        yield from ["", module.path, *(f"    {line}" for line in own)]
    for member in inner:
        yield from write(member)


def describe(member: griffe.Object | griffe.Alias) -> Iterator[str]:
    match member:
        case griffe.Alias():
            yield f"{member.name} = {member.target_path}"
        case griffe.Function():
            for overload in member.overloads or ():
                yield signature(overload)
            yield signature(member)
        case griffe.Class():
            bases = ", ".join(map(str, member.bases))
            yield f"{kind(member)}{member.name}({bases})"
            for inner in members(member):
                yield from (f"    {line}" for line in describe(inner))
        case griffe.Attribute():
            annotation = f": {member.annotation}" if member.annotation else ""
            value = "" if member.value is None else f" = {declaration(member) or '...'}"
            yield f"{kind(member)}{member.name}{annotation}{value}"


def kind(member: griffe.Function | griffe.Class | griffe.Attribute) -> str:
    """How it is to be used, which stands before its name: `@contextmanager async def`."""
    if isinstance(member, griffe.Attribute):
        return "@property " if "property" in member.labels else ""
    decorators = "".join(f"@{decorator.value} " for decorator in member.decorators)
    if isinstance(member, griffe.Class):
        return f"{decorators}class "
    return f"{decorators}async def " if "async" in member.labels else f"{decorators}def "


def signature(function: griffe.Function) -> str:
    return f"{kind(function)}{function.signature()}"


def declaration(attribute: griffe.Attribute) -> str:
    """Types, columns and what else a call declares; not numbers, texts, or what a method sets."""
    declared = attribute.labels & {"class-attribute", "module-attribute"}
    if not declared or not isinstance(attribute.value, griffe.ExprCall | griffe.ExprSubscript):
        return ""
    if str(attribute.value).startswith("typer.Typer("):
        return ""  # how a command line looks is no interface
    documentation = r"(, )?(description='[^']*'|examples=\[[^]]*\]|json_schema_extra=\{[^}]*\})"
    return re.sub(documentation, "", str(attribute.value))


def interface(project: Path) -> str:
    lines = [line for module in load(project) for line in write(module)]
    return "\n".join(lines).lstrip() + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(str(TOP), folder, vcs_ref="HEAD", defaults=True, quiet=True)
        RECORD.write_text(interface(Path(folder)))


if __name__ == "__main__":
    main()
