"""What `copier update` does to a rendered project. No call says `unsafe`: no trust is needed."""

import itertools
import re
import tomllib
from pathlib import Path

import copier
import pytest
import yaml

from tests.conftest import Rendered
from tests.repository import DRIVERS, RELEASES, TOP, WORK, commit, git
from tests.test_copy import files

OWNED = (
    "README.md",
    "app/api.py",
    "app/domains/",
    "app/main.py",
    "app/settings.py",
    "migrations/versions/",
    "tests/domains/",
)
CONFLICT = re.compile(r"^(DD|AU|UD|UA|DU|AA|UU) |\.rej$", flags=re.MULTILINE)


def contents(project: Path) -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in files(project).items() if file.exists()}


def not_owned(project: Path) -> dict[str, bytes]:
    return {path: text for path, text in contents(project).items() if not path.startswith(OWNED)}


def answers(project: Path) -> dict[str, object]:
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return {name: answer for name, answer in recorded.items() if not name.startswith("_")}


def update(project: Path, ref: str | copier.VcsRef = WORK, **data: str | bool) -> None:
    copier.run_update(project, data, vcs_ref=ref, defaults=True, overwrite=True, quiet=True)
    status = git("status", "--porcelain", cwd=project)
    assert not CONFLICT.search(status), status


def append(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text()}{text}")


def test_there_is_a_release_to_update_from() -> None:
    present = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
    changes = (TOP / "CHANGELOG.md").read_text()
    assert RELEASES
    for version in {*RELEASES, present}:
        assert re.search(rf"^## \[?{re.escape(version)}\b", changes, flags=re.MULTILINE), version


def test_tags_agree_with_the_releases() -> None:
    for tag in git("tag", "--list", "v*").split():
        assert git("rev-parse", f"{tag}^{{commit}}").strip() == RELEASES[tag.removeprefix("v")]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
class TestUpdate:
    def test_makes_an_untouched_project_a_fresh_one(
        self, rendered: Rendered, tmp_path: Path, version: str, driver: str
    ) -> None:
        project = rendered(tmp_path / "project", f"v{version}", driver=driver)
        given, owned = answers(project), contents(project)
        update(project)
        fresh = rendered(tmp_path / "fresh", driver=driver)
        assert not_owned(project) == not_owned(fresh)
        assert {name: answers(project)[name] for name in given} == given
        for path in owned:
            assert not path.startswith(OWNED) or (project / path).read_bytes() == owned[path]

    def test_changes_nothing_the_second_time(
        self, rendered: Rendered, tmp_path: Path, version: str, driver: str
    ) -> None:
        project = rendered(tmp_path / "project", f"v{version}", driver=driver)
        update(project)
        commit(project)
        update(project)
        assert git("status", "--porcelain", cwd=project) == ""

    def test_keeps_what_the_owner_did(
        self, rendered: Rendered, tmp_path: Path, version: str, driver: str
    ) -> None:
        project = rendered(tmp_path / "project", f"v{version}", driver=driver)
        edited = edit_as_an_owner(project)
        commit(project)
        before = contents(project)
        update(project)
        after = contents(project)
        for path, text in edited.items():
            assert text in after[path].decode(), path
        for path in {*before, *after}:
            assert not path.startswith(OWNED) or after.get(path) == before.get(path), path


def edit_as_an_owner(project: Path) -> dict[str, str]:
    """Adds, changes and deletes what an owner would; returns what must be found in which file."""
    edited = {
        "README.md": "\nOur telephone number is 42.\n",
        "app/main.py": "\nOWNER = 'us'\n",
        "app/settings.py": "\n    invoice_limit: int = 100\n",
        "app/domains/users/models.py": "\n# Users are people.\n",
        "app/core/bulk.py": "\n\ndef ours() -> None:\n    pass\n",
        ".env.example": "\n# INVOICE_LIMIT=100\n",
    }
    for path, text in edited.items():
        append(project / path, text)
    invoices = project / "app" / "domains" / "invoices"
    invoices.mkdir()
    (invoices / "models.py").write_text("# ours\n")
    git("rm", "-r", "--quiet", "app/domains/posts", "tests/domains/posts", cwd=project)
    anchor, dependency = "  # your dependencies below\n", '  "babel>=2",\n'
    package = project / "pyproject.toml"
    package.write_text(package.read_text().replace(anchor, f"{anchor}{dependency}", 1))
    return edited | {"pyproject.toml": dependency, "app/domains/invoices/models.py": "# ours\n"}


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(DRIVERS, 2)))
def test_switching_the_driver_makes_a_fresh_project_of_the_other(
    rendered: Rendered, tmp_path: Path, old: str, new: str
) -> None:
    project = rendered(tmp_path / "project", driver=old)
    update(project, copier.VcsRef.CURRENT, driver=new)
    assert contents(project) == contents(rendered(tmp_path / "fresh", driver=new))


@pytest.mark.parametrize("examples", [True, False])
def test_turning_the_samples_on_or_off_leaves_the_owners_files_alone(
    rendered: Rendered, tmp_path: Path, examples: bool
) -> None:
    project = rendered(tmp_path / "project", examples=not examples)
    before = contents(project)
    update(project, copier.VcsRef.CURRENT, examples=examples)
    after = contents(project)
    for path in {*before, *after}:
        assert not path.startswith(OWNED) or after.get(path) == before.get(path), path
