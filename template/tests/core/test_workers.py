from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_xdist_auto_num_workers


@pytest.mark.parametrize(
    ("arguments", "is_small"),
    [
        (["tests/domains/some"], True),
        (["tests/domains/some/"], True),
        (["tests/core/test_workers.py"], True),
        (["tests/core/test_workers.py::test_few_tests_start_no_workers"], True),
        ([], False),  # `pytest --help`
        (["tests/domains"], False),
        (["tests/core"], False),
        (["tests/domains/some", "tests/domains/other"], False),
    ],
)
def test_few_tests_start_no_workers(arguments: list[str], is_small: bool) -> None:
    config: Any = SimpleNamespace(args_source=pytest.Config.ArgsSource.ARGS, args=arguments)

    assert pytest_xdist_auto_num_workers(config) == (0 if is_small else None)


def test_all_tests_start_workers() -> None:
    source = pytest.Config.ArgsSource.TESTPATHS
    config: Any = SimpleNamespace(args_source=source, args=["tests"])

    assert pytest_xdist_auto_num_workers(config) is None
