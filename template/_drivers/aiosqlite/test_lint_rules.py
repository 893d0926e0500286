from pathlib import Path

import pytest

from tests.core.linted import rules_broken

IN_BATCH = """
with op.batch_alter_table("books") as batch:
    batch.{}
"""
BROKEN = {
    "changing-all-rows": 'op.execute("UPDATE books SET pages = 0")',
    "adding-required-field": """
        op.add_column("books", sa.Column("pages", sa.Integer(), nullable=False))
    """,
    "adding-not-nullable-field": IN_BATCH.format('alter_column("title", nullable=False)'),
    "ban-drop-column": 'op.execute("alter table books\\n drop column title")',
    "ban-drop-table": 'op.drop_table("books")',
    "needs-batch": """
        op.alter_column("books", "title", existing_type=sa.String(9), type_=sa.String(20))
    """,
    "renaming-column": 'op.alter_column("books", "title", new_column_name="name")',
    "renaming-table": 'op.rename_table("books", "works")',
    "table-copy": IN_BATCH.format('create_check_constraint("ck_books", "pages > 0")'),
}
HARMLESS = {
    "change": 'op.execute("UPDATE books SET pages = 0 WHERE pages IS NULL")',
    "column": 'op.add_column("books", sa.Column("pages", sa.Integer()))',
    "column in a batch": IN_BATCH.format('add_column(sa.Column("pages", sa.Integer()))'),
    "default": """
        op.add_column(
            "books", sa.Column("is_read", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    """,
    "index": 'op.create_index("ix_books", "books", ["title"])',
    "index in a batch": IN_BATCH.format('create_index("ix_books", ["title"])'),
    "rows": 'op.bulk_insert(sa.table("books", sa.column("id")), [{"id": 1}])',
}
REASON = "# lint: allow {}: the table has 100 rows\n"


@pytest.mark.parametrize("rule", BROKEN)
def test_what_blocks_or_breaks_is_found(tmp_path: Path, rule: str) -> None:
    assert rule in rules_broken(tmp_path, BROKEN[rule])


@pytest.mark.parametrize("name", HARMLESS)
def test_what_blocks_nobody_is_no_finding(tmp_path: Path, name: str) -> None:
    assert rules_broken(tmp_path, HARMLESS[name]) == []


def test_a_default_that_is_sql_copies_the_table_in_a_batch(tmp_path: Path) -> None:
    column = 'add_column(sa.Column("is_read", sa.Boolean(), server_default=sa.false()))'

    assert rules_broken(tmp_path, IN_BATCH.format(column)) == ["table-copy"]


def test_each_batch_that_copies_is_one_finding(tmp_path: Path) -> None:
    batch = IN_BATCH.format('drop_constraint("ck_books")\n    batch.drop_constraint("uq_books")')

    assert rules_broken(tmp_path, batch + batch) == ["table-copy", "table-copy"]


def test_a_copy_is_allowed_by_a_reason(tmp_path: Path) -> None:
    assert rules_broken(tmp_path, REASON.format("table-copy") + BROKEN["table-copy"]) == []
