"""Whatever is answered: it is refused with a sentence, or it comes out everywhere as it went in."""

import re
import tomllib
from itertools import cycle
from pathlib import Path

import copier
import pytest
import yaml

from tests.repository import DRIVERS, WORK
from tests.test_copy import parse

REFUSED = {
    "": "at least one character",
    "   ": "at least one character",
    "two\nlines": "without control characters",
    'name"\n[project.scripts]\nevil = "os:abort': "without control characters",
    "tab\tinside": "without control characters",
    "bell\x07": "without control characters",
    "nul\x00inside": "without control characters",
    "delete\x7f": "without control characters",
    "next line\x85inside": "without control characters",
    "line separator\u2028inside": "without control characters",
    "paragraph separator\u2029inside": "without control characters",
    "trailing newline\n": "spaces at the beginning or at the end",
    " padded ": "spaces at the beginning or at the end",
    "x" * 301: "At most",
}
KEPT = (
    'say "hello"',
    "it's",
    "'''\"\"\"",
    "back\\slash \\n \\u0041 \\",
    "{{ 7*7 }}",
    "{% raw %} {# note #}",
    "${{ secrets.TOKEN }} $(touch injected) `touch injected` ${HOME} $$",
    '"] }] dependencies = ["evil", "',
    "'; import os; os.abort() #",
    "a: b - c # d & e * f ! g | h > i % j @ k",
    "- yes",
    "~",
    "null",
    "1.0",
    "[app](http://example.com) <b>bold</b> *stars* _lines_",
    "emoji \U0001f980\U0001f469\u200d\U0001f680",
    "服务 接口",
    "Ünïcödé ﬁ ß İ",
    "x" * 100,
)
QUESTIONS = ("project_name", "description", "author")


def render(template: Path, to: Path, **answers: str) -> Path:
    copier.run_copy(str(template), to, data=answers, vcs_ref=WORK, defaults=True, quiet=True)
    return to


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (question, text)
        for question in QUESTIONS
        for text in REFUSED
        if text or question != "author"
    ],
    ids=ascii,
)
def test_a_bad_answer_is_refused_with_a_sentence(
    template: Path, tmp_path: Path, question: str, text: str
) -> None:
    with pytest.raises(ValueError, match=f"Validation error for question '{question}'") as refusal:
        render(template, tmp_path / "project", **{question: text})
    assert REFUSED[text] in str(refusal.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("text", "driver"), list(zip(KEPT, cycle(DRIVERS), strict=False)), ids=ascii
)
def test_an_odd_answer_comes_out_as_it_went_in(
    template: Path, tmp_path: Path, text: str, driver: str
) -> None:
    answers = dict.fromkeys(QUESTIONS, text)
    project = render(template, tmp_path / "project", driver=driver, **answers)
    for file in project.rglob("*"):
        parse(file)
    with (project / "pyproject.toml").open("rb") as opened:
        package = tomllib.load(opened)
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert {question: recorded[question] for question in QUESTIONS} == answers
    assert package["project"]["description"] == text
    assert package["project"]["authors"] == [{"name": text}]
    assert package["tool"]["service"]["title"] == text
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", package["project"]["name"])
    assert (project / "README.md").read_text(encoding="utf-8").startswith(f"# {text}\n")
    assert not list(tmp_path.rglob("injected"))


def test_odd_answers_change_nothing_but_the_texts(template: Path, tmp_path: Path) -> None:
    plain = render(template, tmp_path / "plain", **dict.fromkeys(QUESTIONS, "Plain"))
    odd = render(template, tmp_path / "odd", **dict.fromkeys(QUESTIONS, KEPT[7]))
    with (
        (plain / "pyproject.toml").open("rb") as first,
        (odd / "pyproject.toml").open("rb") as other,
    ):
        expected, found = tomllib.load(first), tomllib.load(other)
    for package in (expected, found):
        for key in ("name", "description", "authors"):
            del package["project"][key]
        del package["tool"]["service"]
    assert found == expected


def test_nobody_has_to_be_named(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path / "project", author="")
    with (project / "pyproject.toml").open("rb") as opened:
        assert "authors" not in tomllib.load(opened)["project"]


def test_an_unknown_driver_is_refused(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Invalid choice for 'driver'"):
        render(template, tmp_path / "project", driver="oracle")
