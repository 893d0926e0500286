import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import SecretStr
from sqlalchemy import make_url

from app.core import driver
from app.core.application import create_application
from app.core.safety import unsafe_settings
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import ReadLog

HOSTS = ["api.example.com"]
OTHER_URL = make_url(driver.DEFAULT_URL)
if OTHER_URL.password:
    OTHER_URL = OTHER_URL.set(password="hush")
SAFE = {
    "environment": "production",
    "allowed_hosts": HOSTS,
    "database_url": SecretStr(OTHER_URL.render_as_string(hide_password=False)),
}
UNSAFE: dict[str, dict[str, Any]] = {
    "ALLOWED_HOSTS is": {"allowed_hosts": []},
    "ALLOWED_HOSTS has": {"allowed_hosts": [*HOSTS, "*"]},
    "DATABASE_ECHO": {"database_echo": True},
    "LOG_LEVEL": {"log_level": "DEBUG"},
}
if OTHER_URL.password:
    UNSAFE |= {
        "DATABASE_URL": {"database_url": SecretStr(driver.DEFAULT_URL)},
        "DATABASE_REPLICA_URL": {"database_replica_url": SecretStr(driver.DEFAULT_URL)},
        "DATABASE_MIGRATION_URL": {
            "database_migration_url": SecretStr(driver.DEFAULT_MIGRATION_URL)
        },
    }


def app_with(**settings: Any) -> FastAPI:
    return create_application(lab.router, CoreSettings(**settings))


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_safe_settings_are_accepted(environment: str) -> None:
    assert unsafe_settings(app_with(**{**SAFE, "environment": environment})) == []


@pytest.mark.parametrize("beginning", UNSAFE)
def test_each_unsafe_setting_is_one_sentence(beginning: str) -> None:
    (sentence,) = unsafe_settings(app_with(**{**SAFE, **UNSAFE[beginning]}))

    assert sentence.startswith((f"{beginning} ", f"{beginning}="))
    assert sentence.endswith(".")


def test_all_unsafe_settings_are_named_at_once() -> None:
    settings = {name: value for change in UNSAFE.values() for name, value in change.items()}

    assert len(unsafe_settings(app_with(**{**SAFE, **settings}))) == len(UNSAFE) - 1


@pytest.mark.parametrize("beginning", UNSAFE)
def test_what_is_unsafe_in_public_is_accepted_in_development(beginning: str) -> None:
    settings = {**SAFE, **UNSAFE[beginning], "environment": "development"}

    assert unsafe_settings(app_with(**settings)) == []


@pytest.mark.parametrize(
    ("options", "unsafe"),
    [
        ({"allow_origins": ["*"], "allow_credentials": True}, True),
        ({"allow_origin_regex": ".*", "allow_credentials": True}, True),
        ({"allow_origin_regex": "https?://.+", "allow_credentials": True}, True),
        ({"allow_origins": ["*"]}, False),
        ({"allow_origins": ["https://app.example.com"], "allow_credentials": True}, False),
        ({"allow_origin_regex": r"https://.*\.example\.com", "allow_credentials": True}, False),
    ],
)
@pytest.mark.parametrize("environment", ["development", "production"])
def test_any_origin_with_credentials_is_refused(
    options: dict[str, Any], unsafe: bool, environment: str
) -> None:
    app = app_with(**{**SAFE, "environment": environment})
    app.add_middleware(CORSMiddleware, **options)

    assert len(unsafe_settings(app)) == unsafe


async def test_a_server_does_not_start_an_unsafe_service_and_says_why(read_log: ReadLog) -> None:
    app = app_with(**{**SAFE, "allowed_hosts": [], "database_echo": True})
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, port=0))
    read_log()
    with pytest.raises(SystemExit):
        async with asyncio.timeout(10):
            await server.serve()
    errors = [line["event"] for line in read_log() if line["level"] == "error"]

    assert server.started is False
    assert "ALLOWED_HOSTS is not set" in errors[0]
    assert "DATABASE_ECHO" in errors[0]
    assert "Traceback" not in errors[0]


def check(**variables: str) -> subprocess.CompletedProcess[str]:
    """`uv run app check`, in an environment with these settings."""
    return subprocess.run(
        [sys.executable, "-m", "app.core.commands", "check"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )


def test_the_command_is_silent_but_for_one_line_if_all_is_well() -> None:
    checked = check(ENVIRONMENT="production", ALLOWED_HOSTS="api.example.com")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert len(checked.stdout.splitlines()) == 1


def test_the_command_names_everything_that_is_unsafe() -> None:
    checked = check(ENVIRONMENT="production", DATABASE_ECHO="true")

    assert checked.returncode == 1
    assert [line.split()[0] for line in checked.stderr.splitlines()] == [
        "ALLOWED_HOSTS",
        "DATABASE_ECHO",
    ]


def test_the_command_names_what_is_invalid_without_its_value() -> None:
    checked = check(DATABASE_POOL_SIZE="hush", MAX_BODY_BYTES="hush")

    assert checked.returncode == 1
    assert [line.split(":")[0] for line in checked.stderr.splitlines()] == [
        "DATABASE_POOL_SIZE",
        "MAX_BODY_BYTES",
    ]
    assert "hush" not in checked.stderr
