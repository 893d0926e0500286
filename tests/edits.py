"""What owners do to their projects: as much of it as an update could harm."""

import shutil
from pathlib import Path

from tests.repository import TOP, commit, git

# A domain with models, queries through app/core, an endpoint for each, tests and revisions.
OWN_FILES = TOP / "tests" / "owner"
FIRST_REVISION = '"5a3f0c1d7b24"'
DELETED = ("app/domains/accounts", "tests/domains/accounts")
SAMPLES_LAST_REVISION = "migrations/versions/2027_01_02_0000_drop_accounts.py"
IMPORT = "from app.domains.invoices.router import router as invoices\n"
SETTINGS = '`.env.example`."""\n'
OWN_CLASS = 'class OurResponse(StreamingResponse):\n    media_type = "text/plain"\n\n\n'
INCLUDE = "router.include_router(invoices)\n"
# As `uv run python -m tests.statements` records them.
STATEMENTS = """\
1 1 GET /invoices
2 4 POST /invoices
1 1 GET /invoices/search
1 1 GET /invoices/totals
2 4 DELETE /invoices/{invoice_id}
2 2 GET /invoices/{invoice_id}
2 4 POST /invoices/{invoice_id}/pay
"""

# In files that are the owner's, (old, new); "" is the end of the file.
EVERYWHERE = {
    "app/main.py": [("", "\napp.state.owner = 'us'\n")],
    "app/settings.py": [
        (SETTINGS, f"{SETTINGS}\n    invoice_days: int = 14\n    invoice_key: str\n")
    ],
    "tests/statements.txt": [("", STATEMENTS)],
    "README.md": [("", "\n## Whom to call\n\nOur telephone number is 42.\n")],
}
WITH_SAMPLES = {
    "app/api.py": [
        ("from app.domains.accounts.router import router as accounts\n", IMPORT),
        ("router.include_router(accounts)\n", INCLUDE),
    ],
    "app/domains/users/models.py": [
        (
            "    full_name: Mapped[Name]\n",
            "    full_name: Mapped[Name]\n"
            "    nickname: Mapped[str | None] = mapped_column(String(50))\n",
        )
    ],
}
WITHOUT_SAMPLES = {
    "app/api.py": [
        ("from fastapi import APIRouter\n", f"from fastapi import APIRouter\n\n{IMPORT}"),
        ("", INCLUDE),
    ],
}
# In files that are shared, and in files that are the template's.
SHARED = {
    "pyproject.toml": [
        ('\nversion = "0.1.0"\n', '\nversion = "3.14.0"\n'),
        ("  # your dependencies below\n", '  # your dependencies below\n  "humanize>=4.12",\n'),
        ("", '"app/domains/invoices/*" = ["RUF001"] # signs of currencies\n'),
    ],
    ".env.example": [
        ("", "\n# Days until an invoice is due.\n# INVOICE_DAYS=14\n"),
        ("", "\n# The key of the accounting service.\n# INVOICE_KEY=\n"),
    ],
    ".github/workflows/ci.yml": [("", "      - run: echo 'a step of ours'\n")],
    ".gitlab-ci.yml": [("", "\nours:\n  script:\n    - echo 'a job of ours'\n")],
    "Dockerfile": [("", "LABEL owner=us\n")],
    "compose.yaml": [
        ("\nvolumes:\n", "\n  cache:\n    image: valkey/valkey:8\n\nvolumes:\n"),
    ],
    "app/core/streaming.py": [
        (
            "class NdjsonResponse(StreamingResponse):\n",
            f"{OWN_CLASS}class NdjsonResponse(StreamingResponse):\n",
        )
    ],
    "app/core/concurrency.py": [("", "\n\nOURS = 'a function of ours'\n")],
    "docs/troubleshooting.md": [("", "\n## Our own trouble\n\nWe have none.\n")],
}


def edit_as_an_owner(project: Path) -> None:
    """Adds a domain, deletes one, changes files of all kinds, and commits."""
    samples = (project / DELETED[0]).exists()
    shutil.copytree(OWN_FILES, project, dirs_exist_ok=True)
    if samples:
        git("rm", "-r", "--quiet", *DELETED, cwd=project)
    else:
        (project / SAMPLES_LAST_REVISION).unlink()
        change(
            project, "migrations/versions/2027_01_01_0000_make_invoices.py", FIRST_REVISION, "None"
        )
    edits = EVERYWHERE | (WITH_SAMPLES if samples else WITHOUT_SAMPLES) | SHARED
    for path, changes in edits.items():
        for old, new in changes:
            if (project / path).exists():
                change(project, path, old, new)
    commit(project)


def change(project: Path, path: str, old: str, new: str) -> None:
    """Replaces `old` wherever it stands; an empty one stands for the end of the file."""
    file = project / path
    text = file.read_text()
    assert old in text, (path, old)
    file.write_text(text.replace(old, new) if old else text + new)
