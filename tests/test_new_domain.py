"""What `app new domain` writes passes all checks at once, on each database."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.project import Virtualenv, run
from tests.repository import DRIVERS, commit, git
from tests.servers import Servers, written

INVOICES = (
    'invoices --field "number:str!" --field "amount_cents:int" --field "status:draft|sent|paid"'
    ' --field "paid_at:datetime?" --field "customer_id:users" --soft-delete'
)
PRODUCTS = (
    'products --field "name:str!" --field "body:text" --field "stock:int" --field "views:bigint"'
    ' --field "price:decimal" --field "is_listed:bool" --field "starts_on:date?"'
    ' --field "sold_at:datetime" --field "external_id:uuid!" --field "kind:big|small-one"'
)
# References that are required, optional and unique; unique values of the other types.
CLIENTS = (
    'clients --service --soft-delete --field "product_id:products"'
    ' --field "second_id:products?" --field "only_id:products:unique" --field "number:int!"'
    ' --field "size:bigint!" --field "fee:decimal!" --field "on:date!" --field "at:datetime!"'
    ' --field "level:low|high?" --field "is_new:bool?" --field "type:str?"'
)

CONCERNED = "tests/core/test_routes.py tests/core/test_rules.py tests/core/test_models.py"

Prepare = Callable[..., tuple[Path, dict[str, str]]]


@pytest.fixture
def prepare(
    rendered: Rendered, servers: Servers, virtualenv: Virtualenv, tmp_path: Path
) -> Prepare:
    """Returns a project whose database has its tables, and the variables for its commands."""

    def prepare(driver: str, *, examples: bool) -> tuple[Path, dict[str, str]]:
        project = rendered(tmp_path / "project", driver=driver, examples=examples)
        variables = virtualenv(project) | {
            "DATABASE_URL": written(servers.create_database(driver)),
            "TEST_DATABASE_URL": written(servers.create_database(driver)),
        }
        run(project, "uv run app db upgrade", variables)
        return project, variables

    return prepare


def check_all(project: Path, variables: Mapping[str, str], *domains: str) -> None:
    run(project, "uv run app db upgrade", variables)
    run(project, "uv run ruff check", variables)
    run(project, "uv run ruff format --check", variables)
    run(project, "uv run mypy", variables)
    folders = " ".join(f"tests/domains/{each}" for each in domains)
    tests = f"uv run pytest -n0 {folders} {CONCERNED}"
    run(project, tests, variables)
    run(project, "uv run app db check", variables)
    run(project, "uv run app db downgrade -1", variables)
    run(project, "uv run app db upgrade", variables)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_domain_beside_the_samples_passes_all_checks_at_once(
    prepare: Prepare, driver: str
) -> None:
    project, variables = prepare(driver, examples=True)

    printed = run(project, f"uv run app new domain {INVOICES}", variables)

    assert re.search(
        r"^Wrote migrations/versions/\S+_add_invoices.py: review it.$", printed, re.MULTILINE
    )
    changed = git("diff", "--name-only", cwd=project).splitlines()
    assert changed == ["app/api.py", "tests/statements.txt"]
    check_all(project, variables, "invoices")


def test_domains_with_all_types_in_an_empty_service_pass_all_checks_at_once(
    prepare: Prepare,
) -> None:
    project, variables = prepare("aiomysql", examples=False)

    run(project, f"uv run app new domain {PRODUCTS}", variables)
    run(project, "uv run app db upgrade", variables)
    run(project, f"uv run app new domain {CLIENTS}", variables)

    check_all(project, variables, "products", "clients")


def test_a_revision_that_cannot_be_generated_is_named(prepare: Prepare) -> None:
    project, variables = prepare("aiosqlite", examples=True)
    variables = variables | {"DATABASE_URL": f"sqlite+aiosqlite:///{project.parent}/empty.db"}

    printed = run(project, "uv run app new domain invoices", variables)

    assert "There is no revision yet: Target database is not up to date." in printed
    assert 'uv run app db revision --message "Add invoices"' in printed
    assert not [*(project / "migrations").rglob("*invoices*")]


def test_the_same_domain_again_is_refused_and_changes_nothing(prepare: Prepare) -> None:
    project, variables = prepare("aiosqlite", examples=True)
    run(project, "uv run app new domain invoices --no-revision", variables)
    commit(project)

    with pytest.raises(AssertionError, match="app/domains/invoices exists"):
        run(project, "uv run app new domain invoices", variables)

    assert git("status", "--porcelain", cwd=project) == ""
