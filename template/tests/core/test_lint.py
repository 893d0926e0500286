import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.core.command_line.linting.checking import lint
from app.core.command_line.linting.new_revisions import (
    UnknownBaseError,
    new_revisions,
    revisions_since,
)
from app.core.commands import command_line
from tests.core.linted import rules_broken, scripts_in, write_revision

DROP = 'op.drop_column("books", "title")'
CREATE = """
    op.create_table("books", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_books_title", "books", ["title"])
    op.add_column("books", sa.Column("pages", sa.Integer(), nullable=False))
"""
RUN = CliRunner()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of which `app db lint` sees the revisions."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[tool.alembic]\nscript_location = "%(here)s"\n')
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr("app.core.application.PYPROJECT", pyproject)
    monkeypatch.delenv("LINT_BASE", raising=False)
    return tmp_path


def run_lint(*options: str) -> Any:
    return RUN.invoke(command_line, ["db", "lint", *options])


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Change")


def new_in(folder: Path, base: str | None = None) -> list[str]:
    return [each.revision for each in new_revisions(scripts_in(folder), base)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder of git with the old revision 1 on its branch main."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    write_revision(tmp_path, DROP)
    commit(tmp_path)
    return tmp_path


def test_only_revisions_that_the_base_branch_lacks_are_new(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "change")
    write_revision(repository, DROP, "2", "1")
    commit(repository)
    write_revision(repository, DROP, "3", "2")

    assert new_in(repository) == ["2", "3"]
    assert new_in(repository, base="HEAD") == ["3"]


def test_everything_is_new_before_and_in_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write_revision(tmp_path, DROP)
    before = new_in(tmp_path)
    commit(tmp_path)

    assert (before, new_in(tmp_path, base="HEAD^")) == (["1"], ["1"])


def test_a_base_that_git_does_not_have_is_told(repository: Path, tmp_path: Path) -> None:
    """As in a shallow clone of a CI."""
    write_revision(repository, DROP, "2", "1")
    commit(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))

    with pytest.raises(UnknownBaseError, match=r"git has no HEAD\^ here: fetch it"):
        new_in(clone, base="HEAD^")
    with pytest.raises(UnknownBaseError, match="git has no of-another here: fetch it"):
        new_in(clone, base="of-another")


def test_without_git_the_last_old_revision_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write_revision(tmp_path, DROP)
    write_revision(tmp_path, DROP, "2", "1")

    with pytest.raises(UnknownBaseError, match="name the last old revision with --since"):
        new_in(tmp_path)
    assert [each.revision for each in revisions_since(scripts_in(tmp_path), "1")] == ["2"]


def test_a_table_that_the_revision_creates_may_be_changed(tmp_path: Path) -> None:
    assert rules_broken(tmp_path, CREATE) == []


def test_a_finding_has_the_line_of_the_operation(tmp_path: Path) -> None:
    path = write_revision(tmp_path, f"pass\n{DROP}")

    (linted,) = lint(scripts_in(tmp_path).walk_revisions())

    (finding,) = linted.findings
    assert path.read_text().splitlines()[finding.line - 1].strip() == DROP


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# lint: allow ban-drop-column: no model has it since 1.2", []),
        ("# lint: allow ban-drop-column", ["ban-drop-column", "exemption-without-reason"]),
        ("# lint: allow ban-drop-column:", ["ban-drop-column", "exemption-without-reason"]),
        ("# lint: ignore ban-drop-column", ["ban-drop-column", "exemption-unreadable"]),
        ("# lint: allow ban-drop-table: no reason", ["ban-drop-column", "exemption-unused"]),
        ("text = '# lint: allow ban-drop-column: a text'", ["ban-drop-column"]),
    ],
)
def test_an_exemption_has_a_rule_and_a_reason(
    tmp_path: Path, comment: str, rules: list[str]
) -> None:
    found = rules_broken(tmp_path, f"{comment}\n{DROP}")

    assert sorted(found) == rules


def test_a_revision_that_changes_rows_is_read_as_if_there_were_none(tmp_path: Path) -> None:
    upgrade = f"""
        connection = op.get_bind()
        while rows := connection.execute(sa.text("SELECT id FROM books LIMIT 1000")).all():
            raise AssertionError(rows)
        assert connection.scalar(sa.text("SELECT 1 FROM books")) is None
        assert connection.scalars(sa.text("SELECT id FROM books")).all() == []
        books = sa.table("books", sa.column("id"))
        connection.execute(books.update().where(books.c.id == 2).values(id=1))
        {DROP}
    """

    assert rules_broken(tmp_path, upgrade) == ["ban-drop-column"]


@pytest.mark.parametrize(
    "statement",
    [
        "op.execute('UPDATE books SET pages = (SELECT 1 FROM shelves WHERE id = shelf_id)')",
        "op.execute(sa.text(' delete from \\n books'))",
        "op.execute(sa.table('books', sa.column('pages')).update().values(pages=0))",
        "op.get_bind().execute(sa.table('books').delete())",
        "op.get_bind().exec_driver_sql('DELETE FROM books')",
    ],
)
def test_a_change_of_all_rows_is_found(tmp_path: Path, statement: str) -> None:
    assert rules_broken(tmp_path, statement) == ["changing-all-rows"]


@pytest.mark.parametrize(
    "statement",
    [
        "op.execute('UPDATE books SET pages = 0 WHERE pages IS NULL')",
        "op.execute('INSERT INTO books (id) VALUES (1)')",
        "op.get_bind().execute(sa.table('books').delete().where(sa.text('pages > 0')))",
        """
        op.create_table("books", sa.Column("id", sa.Integer(), primary_key=True))
        op.execute("UPDATE books SET id = 1")
        op.execute(sa.table("books").delete())
        """,
    ],
)
def test_a_change_of_some_rows_or_of_a_new_table_is_no_finding(
    tmp_path: Path, statement: str
) -> None:
    assert rules_broken(tmp_path, statement) == []


def test_what_cannot_be_read_without_a_database_is_told(tmp_path: Path) -> None:
    upgrade = f"{DROP}\nsa.inspect(op.get_bind())"

    assert rules_broken(tmp_path, upgrade) == ["ban-drop-column", "unreadable"]


def test_findings_are_shown_with_what_to_do_instead(project: Path) -> None:
    write_revision(project / "versions", DROP)

    result = run_lint("--all")

    assert "1.py:9: " in result.stdout
    assert "Instead: deploy a version whose model does not have the column." in result.stdout
    assert result.stdout.endswith("write into the revision: # lint: allow <rule>: <reason>\n")


def test_the_exit_status_tells_errors_from_warnings(project: Path) -> None:
    path = write_revision(project / "versions", "pass")
    clean = run_lint("--all").exit_code
    path.write_text(path.read_text() + "# lint: allow ban-drop-table: nothing here\n")
    warned = run_lint("--all").exit_code
    path.write_text(path.read_text() + "# lint: what\n")
    failed = run_lint("--all").exit_code

    assert (clean, warned, failed) == (0, 3, 1)


def test_findings_can_be_read_by_a_program(project: Path) -> None:
    write_revision(project / "versions", DROP)

    (found,) = json.loads(run_lint("--all", "--json").stdout)

    assert (found["revision"], found["rule"], found["line"]) == ("1", "ban-drop-column", 9)


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        (["--since", "deadbeef"], "Can't locate revision identified by 'deadbeef'", 1),
        (["--base", "nothing"], "git does not know", 1),
        (["--all", "--since", "1"], "exclude each other", 2),
    ],
)
def test_what_cannot_be_known_is_one_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
    status: int,
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    write_revision(project / "versions", DROP)

    result = run_lint(*options)

    assert message in result.stderr
    assert result.exit_code == status
