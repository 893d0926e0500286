"""Paths, owners, anchors and versions: what older projects count on, held against each release.

A path that goes is announced in CHANGELOG.md by a line of its own, in a later version:
    - Moved: `app/core/old.py` → `app/core/new.py`
"""

import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pathspec
import pytest

from tests.conftest import Rendered
from tests.projects import Projects
from tests.questions import checkout, owned_paths
from tests.repository import DRIVERS, PRESENT, RELEASES, TOP, WORK, git, notes_since
from tests.updates import files

MOVED = re.compile(r"^- Moved: `([^`]+)` → `([^`]+)`$", flags=re.MULTILINE)
# Samples: they are the owner's, and nothing of the template needs them.
SAMPLES = ("app/domains/", "tests/domains/")
FIRST_REVISION = "migrations/versions/2026_11_21_0000_create_tables.py"
ANCHOR = re.compile(r"^ *# your \w+ below$", flags=re.MULTILINE)
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def missing(before: set[str], now: set[str], notes: str) -> list[str]:
    """The paths that are gone, unless the notes say where to, and that is there."""
    moved = dict(MOVED.findall(notes))
    gone = [path for path in before - now if not path.startswith(SAMPLES)]
    return sorted(path for path in gone if moved.get(path) not in now)


@pytest.mark.parametrize("examples", [True, False])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
def test_each_path_of_a_release_is_still_there(
    projects: Projects, version: str, driver: str, examples: bool
) -> None:
    before = projects.rendered(f"v{version}", driver=driver, examples=examples)
    now = projects.rendered(driver=driver, examples=examples)
    assert missing({*files(before)}, {*files(now)}, notes_since(version)) == []


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
def test_each_anchor_of_a_release_is_still_the_end_of_its_list(
    projects: Projects, version: str, driver: str
) -> None:
    before = projects.rendered(f"v{version}", driver=driver, examples=True)
    now = projects.rendered(driver=driver, examples=True)
    assert anchors(before) - anchors(now) == Counter()
    assert anchors(before).total() >= 3
    assert below_anchors(now) == []


def anchors(project: Path) -> Counter[tuple[str, str]]:
    return Counter(
        (path, anchor)
        for path, file in files(project).items()
        for anchor in ANCHOR.findall(file.read_text())
    )


def below_anchors(project: Path) -> list[str]:
    """What follows an anchor, other than the end of its list or of the file."""
    following = [
        f"{path}: {line}"
        for path, file in files(project).items()
        for anchor, line in pairwise([*file.read_text().splitlines(), "]"])
        if ANCHOR.fullmatch(anchor)
    ]
    return [line for line in following if not line.endswith(": ]")]


def test_a_path_that_goes_unannounced_is_found() -> None:
    before, now = {"app/core/bulk.py", "app/domains/posts/models.py"}, {"app/core/rows.py"}
    notes = "## 0.9.0\n\n- Moved: `app/core/bulk.py` → `app/core/rows.py`\n"
    assert missing(before, now, "") == ["app/core/bulk.py"]
    assert missing(before, now, notes) == []
    assert missing(before, {"app/core/many.py"}, notes) == ["app/core/bulk.py"]


def test_a_line_below_an_anchor_is_found(rendered: Rendered, tmp_path: Path) -> None:
    project = rendered(tmp_path / "project", driver=DRIVERS[0], examples=True)
    for path in ("pyproject.toml", ".env.example"):
        text = (project / path).read_text()
        (project / path).write_text(ANCHOR.sub(r"\g<0>\n# more", text))
    assert len(below_anchors(project)) == 3


@pytest.mark.parametrize("version", RELEASES)
def test_a_path_stays_with_its_owner(
    template: Path, projects: Projects, tmp_path: Path, version: str
) -> None:
    release = projects.rendered(f"v{version}", driver=DRIVERS[0], examples=True)
    before = owned_paths(checkout(template, f"v{version}", tmp_path / "before"))
    now = owned_paths(checkout(template, WORK, tmp_path / "now"))
    assert changed_hands({*files(release)}, before, now) == set()
    assert before <= now
    assert before


def changed_hands(paths: set[str], before: set[str], now: set[str]) -> set[str]:
    """Those that one of the lists of the owner's paths has and the other has not, for Copier."""
    specs = [pathspec.GitIgnoreSpec.from_lines(patterns) for patterns in (before, now)]
    return {path for path in paths if len({spec.match_file(path) for spec in specs}) == 2}


def test_a_path_that_changes_hands_is_found() -> None:
    paths, before = {"app/main.py", "app/core/bulk.py"}, {"/app/main.py", "/app/domains/"}
    assert changed_hands(paths, before, before - {"/app/main.py"}) == {"app/main.py"}
    assert changed_hands(paths, before, before | {"/app/core/"}) == {"app/core/bulk.py"}
    assert changed_hands(paths, before, before | {"/app/jobs/"}) == set()


@pytest.mark.parametrize("version", RELEASES)
def test_the_first_revision_keeps_its_name(projects: Projects, version: str) -> None:
    before = projects.rendered(f"v{version}", driver=DRIVERS[0], examples=True)
    now = projects.rendered(driver=DRIVERS[0], examples=True)
    assert revision(before) == revision(now)


def revision(project: Path) -> str:
    text = (project / FIRST_REVISION).read_text()
    (found,) = re.findall(r'^revision: str = "(\w+)"$', text, flags=re.MULTILINE)
    assert "down_revision: str | tuple[str, ...] | None = None\n" in text
    return str(found)


def test_versions_rise() -> None:
    released = [number(version) for version in RELEASES]
    assert released == sorted({*released})
    assert number(PRESENT) >= released[-1]


def number(version: str) -> tuple[int, ...]:
    assert SEMANTIC.fullmatch(version), f"{version} is not major.minor.patch"
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("version", RELEASES)
def test_a_new_table_of_the_package_is_announced(
    projects: Projects, version: str, driver: str
) -> None:
    """An owner may have one of that name, and a file with both is not TOML."""
    before = projects.rendered(f"v{version}", driver=driver, examples=True)
    now = projects.rendered(driver=driver, examples=True)
    notes = notes_since(version)
    assert [table for table in tables(now) - tables(before) if f"`{table}`" not in notes] == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_new_table_of_the_package_is_one_that_owners_hardly_have(
    projects: Projects, driver: str
) -> None:
    before = projects.rendered(f"v{[*RELEASES][-1]}", driver=driver, examples=True)
    now = projects.rendered(driver=driver, examples=True)
    assert [each for each in tables(now) - tables(before) if not each.startswith("[tool.")] == []


def tables(project: Path) -> set[str]:
    text = (project / "pyproject.toml").read_text()
    return set(re.findall(r"^\[[^\[\]]+\]$", text, flags=re.MULTILINE))


def test_tags_agree_with_the_releases() -> None:
    for tag in git("tag", "--list", "v*").split():
        assert git("rev-parse", f"{tag}^{{commit}}").strip() == RELEASES[tag.removeprefix("v")]


def test_each_version_stands_in_the_changelog() -> None:
    headings = re.findall(r"^## (\S+)$", (TOP / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert [each for each in headings if each in RELEASES] == [*RELEASES][::-1]
    assert PRESENT in headings


def test_what_no_release_has_yet_stands_in_the_changelog(template: Path) -> None:
    newest = [*RELEASES][-1]
    what = ("template", "copier.yml")
    changed = git("diff", "--name-only", f"v{newest}", WORK, "--", *what, cwd=template)
    assert not changed or "\n## " in notes_since(newest), f"No heading is above {newest}'s."


def test_a_shallow_clone_says_what_to_run(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth=1", f"--branch={WORK}", f"file://{template}", str(clone))
    command = [sys.executable, "-c", "import tests.repository"]
    failed = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "run `git fetch --unshallow`" in failed.stderr.splitlines()[-1]
