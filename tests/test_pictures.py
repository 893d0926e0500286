"""The pictures in the README show what the commands print now."""

from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.pictures import PICTURES, Picture, draw
from tests.project import Virtualenv


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_the_command_prints(
    picture: Picture, rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    project = rendered(tmp_path / "project")

    drawn = draw(picture, project, virtualenv(project))

    assert drawn == picture.path.read_text(), "uv run python -m tests.pictures draws it again"
