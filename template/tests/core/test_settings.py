import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from app.core import driver
from app.core.settings import CoreSettings
from app.settings import Settings
from tests.core.conftest import LabApp

EXAMPLE = Path(".env.example").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))


def test_the_example_lists_every_setting() -> None:
    assert set(LISTED) == {name.upper() for name in Settings.model_fields}


def test_the_example_shows_the_defaults() -> None:
    defaults = CoreSettings.model_construct(docs_enabled=True)  # not set: on in development
    shown = {name.lower(): LISTED[name] for name in LISTED if hasattr(defaults, name.lower())}

    assert CoreSettings.model_validate_strings(shown) == defaults


def test_a_password_may_hold_any_character() -> None:
    password = "p@ss/w:rd%#?&é "
    url = make_url(driver.DEFAULT_URL).set(username="ada", password=password, host="localhost")

    settings = CoreSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))

    assert settings.primary_url.password == password


def test_no_representation_shows_the_url() -> None:
    settings = CoreSettings(database_url=SecretStr(driver.DEFAULT_URL))

    assert driver.DEFAULT_URL not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_no_url_shows_the_password() -> None:
    url = make_url(driver.DEFAULT_URL).set(username="ada", password="hush", host="localhost")

    settings = CoreSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))

    assert "hush" not in f"{settings.primary_url} {settings.primary_url!r}"


@pytest.mark.parametrize(
    "url", ["", "hush", "hush://ada:hush@localhost/app", "oracle://ada:hush@localhost/app"]
)
def test_a_url_that_does_not_fit_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ValidationError) as error:
        CoreSettings()

    assert "database_url" in str(error.value)
    assert "hush" not in str(error.value)


def test_an_option_of_the_url_that_does_not_fit_is_refused_and_the_url_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = make_url(driver.DEFAULT_URL).set(username="ada", password="hush", host="localhost")
    url = url.update_query_dict({"colour": "hush"})
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))

    with pytest.raises(ValidationError, match="has the unknown option colour; known are") as error:
        CoreSettings()

    assert "hush" not in str(error.value)


def test_a_value_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "0")

    with pytest.raises(ValidationError, match="database_pool_size"):
        CoreSettings()


def test_an_unknown_name_in_the_env_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_POLL_SIZE=5\n")

    with pytest.raises(ValidationError, match="database_poll_size"):
        CoreSettings(_env_file=tmp_path / ".env")


def test_an_empty_replica_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_REPLICA_URL", "")
    settings = CoreSettings()

    assert settings.replica_url == settings.primary_url


@pytest.mark.parametrize(
    ("environment", "docs_enabled", "expected"),
    [
        ("development", None, True),
        ("development", "", True),
        ("development", "false", False),
        ("Development ", None, True),
        ("production", None, False),
        ("production", "", False),
        ("production", "true", True),
        ("staging", None, False),
    ],
)
def test_the_documentation_is_on_in_development_only_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch, environment: str, docs_enabled: str | None, expected: bool
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    if docs_enabled is not None:
        monkeypatch.setenv("DOCS_ENABLED", docs_enabled)

    assert CoreSettings().docs_enabled is expected


def test_an_empty_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither development, which would be unsafe, nor public, which nobody has asked for."""
    monkeypatch.setenv("ENVIRONMENT", " ")

    with pytest.raises(ValidationError, match="environment"):
        CoreSettings()


def test_a_service_may_have_defaults_of_its_own() -> None:
    class OwnSettings(CoreSettings):
        environment: str = "production"
        allowed_hosts: list[str] = ["api.example.com"]

    settings = OwnSettings()

    assert (settings.is_public, settings.docs_enabled) == (True, False)


async def test_an_endpoint_reads_the_settings_of_its_application(client_with: LabApp) -> None:
    async with client_with(max_body_bytes=4321) as (client, _):
        assert (await client.get("/lab/settings")).json() == 4321
