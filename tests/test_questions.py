"""What a release asked stays asked, and what it accepted stays accepted: projects recorded it."""

import shutil
from pathlib import Path

import pytest

from tests.questions import accepted, broken, checkout, configuration, questions
from tests.repository import RELEASES, WORK, notes_since
from tests.test_answers import KEPT, REFUSED

# What makes Copier ask for trust, and what brings deleted files back.
FORBIDDEN = ("_tasks", "_migrations", "_jinja_extensions", "_skip_if_exists")
FIXED = ("_subdirectory", "_templates_suffix", "_answers_file")
CHECK = "template/_answers/check.txt"
BROKEN = {
    "a shorter name": ("copier.yml", "project_name, 100", "project_name, 99", "project_name"),
    "a shorter sentence": ("copier.yml", "description, 300", "description, 299", "description"),
    "a character less": (
        CHECK,
        "\\\\x7f-\\\\x9f",
        "\\\\x7f-\\\\xa0",
        "project_name description author",
    ),
    "a name refused": (
        "copier.yml",
        "{% if author %}",
        "{% if author == 'null' %}No{% elif author %}",
        "author",
    ),
    "a choice removed": ("copier.yml", "aiomysql): aiomysql", "aiomysql): mysql", "driver"),
    "a question renamed": ("copier.yml", "\nauthor:", "\nowner:", "author"),
    "a question of another type": (
        "copier.yml",
        "type: bool\n  help",
        "type: str\n  help",
        "examples",
    ),
    "no longer asked": ("copier.yml", "  help: Who", "  when: false\n  help: Who", "author"),
    "choices for a text": ("copier.yml", "  help: Who", "  choices: [a]\n  help: Who", "author"),
    "a question without a default": (
        "copier.yml",
        "\ndriver:",
        "\nnew: {type: str}\ndriver:",
        "new",
    ),
}
KEEPING = {
    "a longer name": ("copier.yml", "project_name, 100", "project_name, 120"),
    "a choice more": ("copier.yml", "  choices:\n", "  choices:\n    Oracle: oracledb\n"),
    "another label": ("copier.yml", "SQLite, no server needed", "SQLite"),
    "another default": ("copier.yml", "default: aiosqlite", "default: asyncpg"),
    "a question with a default": (
        "copier.yml",
        "\ndriver:",
        "\nnew: {type: str, default: x}\ndriver:",
    ),
}


@pytest.fixture(scope="session")
def work(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(template, WORK, tmp_path_factory.mktemp("questions") / "work")


@pytest.mark.parametrize("version", RELEASES)
def test_each_answer_is_still_accepted(
    template: Path, work: Path, tmp_path: Path, version: str
) -> None:
    before = checkout(template, f"v{version}", tmp_path / "release")
    assert broken(before, work) == []


def test_texts_are_judged_as_copier_judges_them(work: Path) -> None:
    for name, texts in accepted(work).items():
        if questions(work)[name]["type"] == "str" and "choices" not in questions(work)[name]:
            refused = set(REFUSED) - ({""} if name == "author" else set())
            assert texts.isdisjoint(refused)
            assert texts >= set(KEPT)


def test_no_help_is_cut_off_by_a_terminal_of_eighty_columns(work: Path) -> None:
    asked = [each for each in questions(work).values() if "help" in each]
    lines = [line for each in asked for line in (each["help"], *each.get("choices", ()))]
    assert [line for line in lines if len(line) > 76] == []
    assert len(asked) >= 6


@pytest.mark.parametrize("change", [*BROKEN, *KEEPING])
def test_a_question_that_takes_less_is_found(work: Path, tmp_path: Path, change: str) -> None:
    path, old, new, *expected = (BROKEN | KEEPING)[change]
    edition = tmp_path / "edition"
    shutil.copytree(work, edition)
    text = (edition / path).read_text()
    assert old in text
    (edition / path).write_text(text.replace(old, new))
    assert broken(work, edition) == " ".join(expected).split()


@pytest.mark.parametrize("version", RELEASES)
def test_no_trust_is_asked_for_and_nothing_moves(
    template: Path, work: Path, tmp_path: Path, version: str
) -> None:
    release = checkout(template, f"v{version}", tmp_path / "release")
    before, now = configuration(release), configuration(work)
    assert [name for name in FORBIDDEN if name in before or name in now] == []
    assert [before.get(name) for name in FIXED] == [now.get(name) for name in FIXED]
    needed = now["_min_copier_version"]
    assert needed == before["_min_copier_version"] or f"Copier {needed}" in notes_since(version)
