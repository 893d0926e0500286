import ast
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table
from typer.testing import CliRunner

from app.core.command_line.new_domain.api import add_budgets, add_to_api
from app.core.command_line.new_domain.clashes import ClashError, check_project
from app.core.command_line.new_domain.domain import Domain
from app.core.command_line.new_domain.fields import parse_fields
from app.core.command_line.new_domain.names import UnusableError, singular_of
from app.core.command_line.new_domain.parents import Parents
from app.core.command_line.new_domain.planning import plan
from app.core.command_line.new_domain.writing import write
from app.core.commands import command_line
from app.core.models import Base
from tests.core import lab

API = """\
from fastapi import APIRouter

from app.domains.archive.router import router as archive
from app.domains.people.router import router as people

router = APIRouter({})
router.include_router(archive)
router.include_router(people)  # last
"""
WRITTEN = [
    "app/domains/invoices/__init__.py",
    "app/domains/invoices/models.py",
    "app/domains/invoices/repository.py",
    "app/domains/invoices/router.py",
    "app/domains/invoices/schemas.py",
    "tests/domains/invoices/__init__.py",
    "tests/domains/invoices/factories.py",
    "tests/domains/invoices/test_router.py",
]
MODELS = {"lab_shelves": lab.LabShelf, "lab_books": lab.LabBook}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with what the command reads and changes of a project."""
    for folder in ("app/domains", "tests/domains"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "app/api.py").write_text(API.format(""))
    (tmp_path / "tests/statements.txt").write_text("# budgets\n 1  1  GET /archive\n")
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    return tmp_path


def files_in(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file() and ".ruff_cache" not in str(path)]
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


def domain_of(root: Path, *fields: str, soft_delete: bool = False, service: bool = False) -> Domain:
    parsed = parse_fields(fields, "invoice", Parents(MODELS, root / "tests"))
    return Domain("invoices", "invoice", parsed, soft_delete=soft_delete, service=service)


def test_a_domain_is_written_and_formatted(root: Path) -> None:
    before = files_in(root)
    domain = domain_of(root, "number:str!", "paid_at:datetime?", "status:draft|sent")

    write(domain, root)

    written = files_in(root)
    assert sorted(written.keys() - before.keys()) == WRITTEN
    changed = {name for name in before if before[name] != written[name]}
    assert changed == {"app/api.py", "tests/statements.txt"}
    check = [sys.executable, "-m", "ruff", "format", "--check", "--quiet", str(root)]
    subprocess.run(check, check=True)


def test_a_model_has_the_columns_that_were_asked_for(root: Path) -> None:
    fields = ["number:str!", "amount_cents:int", "status:draft|sent", "shelf_id:lab_shelves"]

    write(domain_of(root, *fields), root)

    _, model = files_in(root)["app/domains/invoices/models.py"].split("class Invoice(Record):\n")
    assert model == (
        '    __tablename__ = "invoices"\n\n'
        "    number: Mapped[ShortText] = mapped_column(unique=True)\n"
        "    amount_cents: Mapped[Cents]\n"
        "    status: Mapped[InvoiceStatus] = mapped_column(\n"
        '        default=InvoiceStatus.DRAFT, server_default="draft"\n'
        "    )\n"
        '    shelf_id: Mapped[UUID] = mapped_column(ForeignKey("lab_shelves.id"), index=True)\n'
    )


def test_with_soft_deletion_a_value_is_unique_among_live_records(root: Path) -> None:
    write(domain_of(root, "number:str!", soft_delete=True), root)

    model = files_in(root)["app/domains/invoices/models.py"]
    assert '(UniqueConstraint("number", "is_live"), live_or_deleted())' in model


def test_tests_make_the_records_to_which_a_domain_refers(root: Path) -> None:
    """By the factory of the other domain if it has one, or else by one of their own."""
    write(domain_of(root, "book_id:lab_books"), root)

    factories = files_in(root)["tests/domains/invoices/factories.py"]
    assert "async def create_lab_book(session: AsyncSession) -> LabBook:" in factories


def test_a_factory_of_the_other_domain_is_used(root: Path) -> None:
    file = root / "tests/domains/lab/factories.py"
    file.parent.mkdir()
    file.write_text("async def create_lab_shelf(session, *, name='A'): ...\n")

    factory = Parents(MODELS, root / "tests").factory_of(lab.LabShelf)

    assert (factory.module, factory.name) == ("tests.domains.lab.factories", "create_lab_shelf")


def test_nothing_is_left_if_a_file_cannot_be_formatted(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool.ruff]\nline-length = 'long'\n")
    before = files_in(root)

    with pytest.raises(subprocess.CalledProcessError):
        write(domain_of(root, "number:str"), root)

    assert files_in(root) == before
    assert [*(root / "app/domains").iterdir()] == []


@pytest.mark.parametrize("folder", ["app/domains/invoices", "tests/domains/invoices"])
def test_a_folder_that_exists_is_not_overwritten(root: Path, folder: str) -> None:
    (root / folder).mkdir()

    with pytest.raises(ClashError, match=f"^{folder} exists"):
        check_project(domain_of(root, "number:str"), root)


def test_a_table_that_exists_is_refused(root: Path) -> None:
    table = Table("invoices", Base.metadata, Column("id", Integer, primary_key=True))
    try:
        with pytest.raises(ClashError, match="table invoices"):
            check_project(domain_of(root, "number:str"), root)
    finally:
        Base.metadata.remove(table)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Invoices", "lower-case"),
        ("2invoices", "lower-case"),
        ("in-voices", "lower-case"),
        ("invoices__old", "lower-case"),
        ("../invoices", "lower-case"),
        ("", "lower-case"),
        ("class", "keyword"),
        ("health", "the service uses it"),
        ("router", "the service uses it"),
        ("news", "plural"),
        ("address", "plural"),
        ("furniture", "plural"),
        ("i" * 41 + "s", "more than 40"),
        ("records", "Record is a name of the service"),
        ("limits", "Limit is a name of the service"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(root: Path, name: str, reason: str) -> None:
    before = files_in(root)

    with pytest.raises(UnusableError, match=reason):
        write(plan(name, [], root=root), root)

    assert files_in(root) == before


def test_a_refusal_is_one_sentence_and_wrong_usage() -> None:
    result = CliRunner().invoke(command_line, ["new", "domain", "class"])

    assert result.exit_code == 2
    assert result.stderr == "'class' cannot be the name of a domain: it is a keyword of Python.\n"


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("number", "write its name and type"),
        ("Number:str", "lower-case"),
        ("lambda:str", "keyword"),
        ("id:uuid", "uses it already"),
        ("created_at:datetime", "uses it already"),
        ("deleted_at:datetime", "uses it already"),
        ("metadata:str", "uses it already"),
        ("json:str", "uses it already"),
        ("date:date", "uses it already"),
        ("session:str", "uses it already"),
        ("number:string", "Types are str, text, int"),
        ("customer_id:customers", "Tables are: lab_books, lab_shelves"),
        ("shelf:lab_shelves", "call it shelf_id"),
        ("status:draft|", "cannot be a value"),
        ("status:draft|Sent", "cannot be a value"),
        ("status:a-b|a_b", "cannot be a value"),
        ("read:yes|no", "cannot be the name of an enum"),
        ("body:text!", "cannot be unique"),
        ("is_paid:bool!", "cannot be unique"),
        ("status:draft|sent!", "cannot be unique"),
    ],
)
def test_a_field_that_cannot_be_used_is_refused(root: Path, field: str, reason: str) -> None:
    with pytest.raises(UnusableError, match=reason):
        domain_of(root, field)


def test_the_same_field_twice_is_refused(root: Path) -> None:
    with pytest.raises(UnusableError, match="Two fields are named 'number'"):
        domain_of(root, "number:str", "number:int")


def test_a_name_that_is_too_long_for_a_constraint_is_refused(root: Path) -> None:
    table, field = "a" * 29 + "s", "b" * 30
    plan(table, [f"{field}:str"], soft_delete=True, root=root)
    plan(table, [f"{field[1:]}:str!"], root=root)

    with pytest.raises(UnusableError, match="too long for a constraint"):
        plan(table, [f"{field}:str!"], root=root)
    with pytest.raises(UnusableError, match="too long for a constraint"):
        plan(table, [f"{field[:25]}:str!"], soft_delete=True, root=root)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("invoices", "invoice"),
        ("categories", "category"),
        ("addresses", "address"),
        ("boxes", "box"),
        ("houses", "house"),
        ("line_items", "line_item"),
        ("statuses", "status"),
        ("people", "person"),
    ],
)
def test_a_record_is_called_by_the_singular(plural: str, singular: str) -> None:
    assert singular_of(plural) == singular


def test_the_singular_can_be_said(root: Path) -> None:
    domain = plan("media", [], "medium", root=root)

    assert (domain.model, domain.path) == ("Medium", "/media")


@pytest.mark.parametrize("arguments", ["", 'prefix="/v1"'])
def test_a_new_domain_comes_first_in_the_api(root: Path, arguments: str) -> None:
    changed = add_to_api(API.format(arguments), domain_of(root, "number:str"))

    assert changed is not None
    added = [line for line in changed.splitlines() if line not in API.splitlines()[1:]]
    assert "router.include_router(invoices)" in added
    included = [ast.unparse(node) for node in ast.parse(changed).body if isinstance(node, ast.Expr)]
    assert included[0] == "router.include_router(invoices)"
    assert "router.include_router(people)  # last" in changed


def test_a_name_of_the_api_is_not_taken_twice(root: Path) -> None:
    changed = add_to_api(API.format("") + "invoices = 1\n", domain_of(root, "number:str"))

    assert changed is not None
    assert "import router as invoices_router\n" in changed


def test_an_api_with_another_router_is_left_as_it_is(root: Path) -> None:
    (root / "app/api.py").write_text(API.format("").replace("router = ", "api = "))
    before = (root / "app/api.py").read_text()

    written = write(domain_of(root, "number:str"), root)

    assert not written.is_in_api
    assert (root / "app/api.py").read_text() == before
    assert (root / "app/domains/invoices/models.py").exists()


def test_budgets_stay_in_the_order_of_the_file(root: Path) -> None:
    domain = domain_of(root, "number:str")
    routes = [line.split()[-1] for line in add_budgets("# a\n 1 1 GET /x\n", domain).splitlines()]

    assert routes == ["a", *["/invoices"] * 2, *["/invoices/{invoice_id}"] * 3, "/x"]
