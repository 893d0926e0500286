import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app.core.commands import command_line

HELP = "from app.core.commands import command_line as run; run({}, standalone_mode=False)"


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("import app.main", {"data_copy", "typer"}),
        (HELP.format(["--help"]), {"data_copy", "fastapi", "sqlalchemy"}),
        (HELP.format(["data", "copy", "--help"]), {"data_copy", "fastapi", "sqlalchemy"}),
    ],
)
def test_only_what_is_used_is_imported(program: str, unwanted: set[str]) -> None:
    """Anything else costs time and memory at each start."""
    imported = f"{program}\nimport sys; print('imported:', *sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", imported], check=True, capture_output=True, text=True
    )

    assert unwanted & set(ran.stdout.rpartition("imported:")[2].split()) == set()


def test_a_copy_without_its_code_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image, which does not have it."""
    monkeypatch.setitem(sys.modules, "data_copy", None)

    result = CliRunner().invoke(command_line, ["data", "copy", "--from", "a", "--to", "b"])

    assert result.exit_code == 1
    assert result.stderr == (
        "The folder data_copy is not here: run this in a checkout of the service.\n"
    )
