from pathlib import Path

import pytest
import typer

from tests.core.linted import rules_broken

BROKEN = {
    "changing-all-rows": 'op.execute("UPDATE books SET pages = 0")',
    "adding-required-field": """
        op.add_column("books", sa.Column("pages", sa.Integer(), nullable=False))
    """,
    "adding-field-with-default": """
        default = sa.text("gen_random_uuid()")
        op.add_column("books", sa.Column("code", sa.Uuid(), server_default=default))
    """,
    "adding-not-nullable-field": 'op.alter_column("books", "title", nullable=False)',
    "ban-concurrent-index-creation-in-transaction": """
        op.create_index("ix_books", "books", ["title"], postgresql_concurrently=True)
    """,
    "ban-drop-table": 'op.drop_table("books")',
    "changing-column-type": """
        op.alter_column("books", "pages", existing_type=sa.Integer(), type_=sa.BigInteger())
    """,
    "constraint-missing-not-valid": 'op.create_check_constraint("ck_books", "books", "pages > 0")',
    "disallowed-unique-constraint": """
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE books ADD UNIQUE (title)")
    """,
    "renaming-column": 'op.alter_column("books", "title", new_column_name="name")',
    "renaming-table": 'op.rename_table("books", "works")',
    "require-concurrent-index-creation": 'op.create_index("ix_books", "books", ["title"])',
    "require-concurrent-index-deletion": 'op.drop_index("ix_books", "books")',
    "syntax-error": 'op.execute("ALTER TABL books")',
}
HARMLESS = {
    "change": 'op.execute("UPDATE books SET pages = 0 WHERE pages IS NULL")',
    "column": 'op.add_column("books", sa.Column("pages", sa.Integer()))',
    "default": """
        op.add_column(
            "books", sa.Column("pages", sa.Integer(), server_default="0", nullable=False)
        )
    """,
    "index": """
        with op.get_context().autocommit_block():
            op.create_index("ix_books", "books", ["title"], postgresql_concurrently=True)
    """,
    "deletion": """
        with op.get_context().autocommit_block():
            op.drop_index("ix_books", "books", postgresql_concurrently=True)
    """,
    "not valid": """
        op.create_check_constraint("ck_books", "books", "pages > 0", postgresql_not_valid=True)
        op.create_foreign_key(
            "fk_books", "books", "shelves", ["shelf_id"], ["id"], postgresql_not_valid=True
        )
    """,
    "validated": 'op.execute("ALTER TABLE books VALIDATE CONSTRAINT ck_books")',
    "not null": """
        op.execute("ALTER TABLE books VALIDATE CONSTRAINT ck_books")
        op.alter_column("books", "title", nullable=False)
        op.drop_constraint("ck_books", "books")
    """,
    "unique": 'op.execute("ALTER TABLE books ADD CONSTRAINT uq_books UNIQUE USING INDEX uq_books")',
    "longer": """
        with op.batch_alter_table("books") as batch:
            batch.alter_column("title", existing_type=sa.String(50), type_=sa.String(100))
            batch.alter_column("text", existing_type=sa.String(50), type_=sa.Text())
    """,
    "rows": 'op.bulk_insert(sa.table("books", sa.column("id")), [{"id": 1}])',
}


@pytest.mark.parametrize("rule", BROKEN)
def test_what_blocks_or_breaks_is_found(tmp_path: Path, rule: str) -> None:
    assert rule in rules_broken(tmp_path, BROKEN[rule])


@pytest.mark.parametrize("name", HARMLESS)
def test_what_blocks_nobody_is_no_finding(tmp_path: Path, name: str) -> None:
    assert rules_broken(tmp_path, HARMLESS[name]) == []


def test_what_runs_outside_of_the_transaction_is_looked_at_by_itself(tmp_path: Path) -> None:
    upgrade = f"""
        {HARMLESS["column"]}
        with op.get_context().autocommit_block():
            op.create_index("ix_books", "books", ["title"], postgresql_concurrently=True)
        op.create_index("ix_books_pages", "books", ["pages"])
    """

    assert rules_broken(tmp_path, upgrade) == ["require-concurrent-index-creation"]


def test_without_squawk_one_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(typer.Exit):
        rules_broken(tmp_path, BROKEN["ban-drop-table"])

    assert "run `uv sync`" in capsys.readouterr().err
