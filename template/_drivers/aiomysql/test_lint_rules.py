from pathlib import Path

import pytest

from tests.core.linted import rules_broken

KEY = 'op.create_foreign_key("fk_books", "books", "shelves", ["shelf_id"], ["id"])'
BROKEN = {
    "changing-all-rows": 'op.execute("UPDATE books SET pages = 0")',
    "adding-check-constraint": 'op.create_check_constraint("ck_books", "books", "pages > 0")',
    "adding-field-with-default": """
        default = sa.text("(concat('a', id))")
        op.add_column("books", sa.Column("code", sa.String(9), server_default=default))
    """,
    "adding-foreign-key-constraint": KEY,
    "adding-not-nullable-field": """
        op.alter_column("books", "title", existing_type=sa.String(9), nullable=False)
    """,
    "adding-primary-key": 'op.create_primary_key("pk_books", "books", ["id"])',
    "adding-required-field": """
        op.add_column("books", sa.Column("pages", sa.Integer(), nullable=False))
    """,
    "alter-without-algorithm": 'op.execute("CREATE INDEX ix_books ON books (title)")',
    "ban-drop-column": 'op.drop_column("books", "title")',
    "ban-drop-table": 'op.execute("DROP TABLE books")',
    "changing-column-type": """
        op.alter_column("books", "title", existing_type=sa.String(60), type_=sa.String(70))
    """,
    "renaming-column": """
        op.alter_column("books", "title", new_column_name="name", existing_type=sa.String(9))
    """,
    "renaming-table": 'op.rename_table("books", "works")',
}
HARMLESS = {
    "change": 'op.execute("UPDATE books SET pages = 0 WHERE pages IS NULL")',
    "column": 'op.add_column("books", sa.Column("pages", sa.Integer()))',
    "default": """
        op.add_column(
            "books", sa.Column("is_read", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        op.add_column(
            "books", sa.Column("at", sa.DateTime(), server_default=sa.func.current_timestamp())
        )
    """,
    "index": """
        op.create_index("ix_books", "books", ["title"])
        op.create_unique_constraint("uq_books", "books", ["title"])
    """,
    "algorithm": """
        op.execute("CREATE INDEX ix_books ON books (title) ALGORITHM=INPLACE LOCK=NONE")
        op.execute("ALTER TABLE books ADD INDEX ix_books (title), ALGORITHM=INSTANT")
    """,
    "foreign key": f"""
        op.execute("SET SESSION foreign_key_checks = 0")
        {KEY}
        op.execute("SET SESSION foreign_key_checks = 1")
    """,
    "longer": """
        op.alter_column("books", "title", existing_type=sa.String(50), type_=sa.String(60))
        op.alter_column("books", "text", existing_type=sa.String(64), type_=sa.String(300))
    """,
    "nullable": 'op.alter_column("books", "title", existing_type=sa.String(9), nullable=True)',
    "rows": 'op.bulk_insert(sa.table("books", sa.column("id")), [{"id": 1}])',
}


@pytest.mark.parametrize("rule", BROKEN)
def test_what_blocks_or_breaks_is_found(tmp_path: Path, rule: str) -> None:
    assert rule in rules_broken(tmp_path, BROKEN[rule])


@pytest.mark.parametrize("name", HARMLESS)
def test_what_blocks_nobody_is_no_finding(tmp_path: Path, name: str) -> None:
    assert rules_broken(tmp_path, HARMLESS[name]) == []


def test_foreign_keys_are_found_again_after_they_are_checked(tmp_path: Path) -> None:
    upgrade = f"{HARMLESS['foreign key']}\n        {KEY}"

    assert rules_broken(tmp_path, upgrade) == ["adding-foreign-key-constraint"]
