"""The check of the interface finds what breaks the owner's code, and lets the rest pass."""

import shutil
from functools import cache
from pathlib import Path

import griffe
import pytest

from tests.compatibility import incompatible, unannounced
from tests.interface import load
from tests.projects import Projects
from tests.repository import DRIVERS

BULK, DATABASE, SETTINGS = "app/core/bulk.py", "app/core/database.py", "app/core/settings.py"
SESSIONS = "app/core/sessions.py"
MODELS, REPOSITORY, TESTS = "app/core/models.py", "app/core/repository.py", "tests/conftest.py"
# What is done to which file, and what has to be said of it.
BREAKING = {
    "a function removed": (BULK, "def update_by_ids(", "def _update(", "update_by_ids"),
    "a function moved": (BULK, "async def delete_rows", "async def drop_rows", "delete_rows"),
    "a method removed": (REPOSITORY, "def get_many(", "def _get_many(", "Repository.get_many"),
    "a class renamed": (MODELS, "class Timestamps", "class History", "Timestamps"),
    "an attribute renamed": (DATABASE, "self.read_engine", "self.replica", "read_engine"),
    "a module-level name removed": (DATABASE, "\nReadSessionDep =", "\n_Dep =", "ReadSessionDep"),
    "an old name removed": ("app/core/schemas.py", "\nRead = ResponseModel", "", "schemas.Read"),
    "a parameter renamed": (BULK, "size: int =", "length: int =", "in_chunks: Parameter"),
    "a parameter required": (BULK, "size: int = CHUNK_SIZE", "size: int", "now required"),
    "a parameter more": (
        BULK,
        "rows: Iterable[Row]) -> int",
        "rows: Any, at: int) -> int",
        "added",
    ),
    "a parameter keyword-only": (BULK, "size: int =", "*, size: int =", "Parameter kind"),
    "a parameter of fewer types": (SESSIONS, "objects: Any =", "objects: int =", "flush"),
    "a default changed": (DATABASE, "job: bool = False", "job: bool = True", "default"),
    "another result": (REPOSITORY, "-> Sequence[R]:", "-> Iterable[R]:", "get_many"),
    "a result that may be None": (REPOSITORY, ") -> R:", ") -> R | None:", "get_referenced"),
    "an overload removed": (
        "app/core/concurrency.py",
        "    c: Callable[[ReadSession], Awaitable[C]],\n",
        "",
        "fetch_together",
    ),
    "no longer awaited": (BULK, "async def insert_rows", "def insert_rows", "insert_rows"),
    "a decorator removed": (DATABASE, "    @asynccontextmanager\n", "", "transaction"),
    "a property called": (DATABASE, "    @property\n", "", "engines"),
    "a base removed": (
        MODELS,
        "class Record(UuidKey, Timestamps, Base)",
        "class Record(Base)",
        "Rec",
    ),
    "a base replaced": (MODELS, "class Record(UuidKey,", "class Record(IntegerKey,", "Record"),
    "a column more": (
        MODELS,
        "    updated_at:",
        "    seen_at: Mapped[int] = 1\n    updated_at:",
        "seen",
    ),
    "a column's type": (MODELS, "mapped_column(String(200))", "mapped_column(String(99))", "Name"),
    "a setting removed": (SETTINGS, "    docs_enabled:", "    _docs_enabled:", "docs_enabled"),
    "a setting required": (SETTINGS, "database_echo: bool = False", "database_echo: bool", "echo"),
    "a setting more, required": (
        SETTINGS,
        "    log_json:",
        "    region: str\n    log_json:",
        "region",
    ),
    "a setting of fewer values": (SETTINGS, "default=10, ge=1", "default=10, ge=5", "pool_size"),
    "a setting with one limit more": (SETTINGS, "default=10,", "default=10, gt=2,", "pool_size"),
    "a fixture removed": (TESTS, "def count_statements(", "def _count(", "count_statements"),
    "a fixture of another type": (TESTS, "-> CoreSettings", "-> BaseSettings", "conftest.settings"),
    "a fixture of another scope": (
        TESTS,
        '(scope="session")\ndef settings',
        "\ndef settings",
        "settings",
    ),
}
HARMLESS = {
    "a function more": (BULK, "\ndef in_chunks(", "\ndef more() -> None: ...\n\n\ndef in_chunks("),
    "a method more": (
        REPOSITORY,
        "    async def count(",
        "    def more(self): ...\n    async def count(",
    ),
    "an optional parameter more": (
        BULK,
        "size: int = CHUNK_SIZE",
        "size: int = CHUNK_SIZE, *, at=0",
    ),
    "a parameter of more types": (BULK, "rows: Iterable[Row]", "rows: Iterable[Row] | None"),
    "a result of fewer types": (REPOSITORY, ") -> R | None:", ") -> R:"),
    "a name changed, and the old one kept": (
        MODELS,
        "Cents = Annotated[int, mapped_column(BigInteger)]",
        "Money = Annotated[int, mapped_column(BigInteger)]\nCents = Money",
    ),
    "a base more": (MODELS, "class Base(AsyncAttrs,", "class Base(Mixin, AsyncAttrs,"),
    "a base in between": (
        SESSIONS,
        "\nclass ReadOnly(Session)",
        "\nclass Own(Session): ...\n\n\nclass ReadOnly(Own)",
    ),
    "a setting more": (SETTINGS, "    log_json:", '    region: str = "eu"\n    log_json:'),
    "a setting's default": (SETTINGS, "default=10, ge=1", "default=20, ge=1"),
    "a setting of more values": (SETTINGS, "ge=1, le=1000)", "ge=0, le=2000)"),
    "a constant's value": (BULK, "CHUNK_SIZE = 1000", "CHUNK_SIZE = 500"),
    "a fixture more": (
        TESTS,
        "\ndef checked_out",
        "\n@pytest.fixture\ndef x(): ...\n\n\ndef checked_out",
    ),
    "a fixture that needs another": (TESTS, "def client(app: FastAPI,", "def client("),
    "something private changed": (REPOSITORY, "def _existing(", "def _present("),
    "the template's own affair": ("app/core/logs.py", "def drop_colors(", "def fade("),
}


@pytest.fixture(scope="session")
def project(projects: Projects) -> Path:
    return projects.rendered(driver=DRIVERS[0], examples=True)


@cache
def offered(project: Path) -> list[griffe.Module]:
    return load(project)


def edited(project: Path, to: Path, path: str, old: str, new: str) -> Path:
    shutil.copytree(project, to, ignore=shutil.ignore_patterns(".git", "domains", "test_*"))
    text = (to / path).read_text()
    assert old in text
    (to / path).write_text(text.replace(old, new))
    return to


@pytest.mark.parametrize("change", BREAKING)
def test_an_incompatible_change_is_found(project: Path, tmp_path: Path, change: str) -> None:
    path, old, new, expected = BREAKING[change]
    found = incompatible(offered(project), load(edited(project, tmp_path / "new", path, old, new)))
    assert expected in " ".join(found)


@pytest.mark.parametrize("change", HARMLESS)
def test_a_harmless_change_passes(project: Path, tmp_path: Path, change: str) -> None:
    edition = edited(project, tmp_path / "new", *HARMLESS[change])
    assert incompatible(offered(project), load(edition)) == []


@pytest.mark.parametrize(
    ("now", "notes", "allowed"),
    [
        ("1.0.0", "`get_many` is gone: use `list`.", True),
        ("1.0.0", "Something else.", False),
        ("0.3.0", "`get_many` is gone: use `list`.", False),
    ],
)
def test_only_a_major_version_that_names_it_may_take_a_name_away(
    now: str, notes: str, allowed: bool
) -> None:
    found = ["app.core.repository.Repository.get_many: Public object was removed"]
    assert (unannounced(found, "0.2.0", now, notes) == []) == allowed
