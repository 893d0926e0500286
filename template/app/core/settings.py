"""Settings that every service has, read from the environment and from the file `.env`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from starlette.requests import Request

from app.core import driver


def check_url(value: SecretStr) -> SecretStr:
    try:
        parse_url(value)
    except ArgumentError:
        raise ValueError("is not a database URL") from None
    return value


def parse_url(value: SecretStr) -> URL:
    return driver.check_url(make_url(value.get_secret_value()))


DatabaseUrl = Annotated[SecretStr, AfterValidator(check_url)]
# An empty variable is one that is not set: compose files and platforms write it so.
empty_is_none = BeforeValidator(lambda value: None if value == "" else value)
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class CoreSettings(BaseSettings):
    """The template's settings; `app/settings.py` adds the service's own.

    A value that does not fit is an error at the start that names the variable and not the value:
    it may hold a password.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    database_url: DatabaseUrl = SecretStr(driver.DEFAULT_URL)
    """Where the data is. In a password, %40 stands for @, %2F for /, and so on."""
    database_replica_url: Annotated[DatabaseUrl | None, empty_is_none] = None
    """A replica that read sessions read from. Not set: from the same database."""

    database_pool_size: int = Field(default=10, ge=1, le=1000)
    """Connections that a process keeps open: so many for reading, and so many for writing."""
    database_max_overflow: int = Field(default=0, ge=0, le=1000)
    """Connections opened on top of these under load, and closed again, which is expensive."""
    database_job_pool_size: int = Field(default=2, ge=1, le=1000)
    """Both of the above for scripts and jobs, which do one thing at a time."""
    database_stream_pool_size: int = Field(default=3, ge=1, le=1000)
    """Connections for responses that are sent while they are read: so many streams at once."""
    database_pool_timeout_seconds: Seconds = 2.0
    """How long a request waits for a free connection before it is a 503."""
    database_pool_recycle_seconds: int = Field(default=1800, ge=1, le=86_400)
    """The age at which a connection is replaced."""
    database_ping_after_idle_seconds: float = Field(default=30.0, ge=0, le=86_400)
    """A connection that was idle for longer is tested before it is used. 0: every one is."""
    database_connect_timeout_seconds: Seconds = 5.0
    """How long the database may take to accept a connection."""
    database_statement_timeout_seconds: Seconds = 10.0
    """How long the database works on one statement of a request."""
    database_lock_timeout_seconds: Seconds = 5.0
    """How long a statement waits for a row that another transaction is changing."""
    database_migration_lock_timeout_seconds: Seconds = 5.0
    """How long a migration waits for a lock. Requests for the same table wait behind it."""
    database_migration_attempts: int = Field(default=20, ge=1, le=1000)
    """How often a migration tries to get a lock, with a second in between."""
    database_request_timeout_seconds: Seconds = 15.0
    """How long a request may use the database in all, before it is a 503."""
    database_echo: bool = False
    """Log each statement with its parameters. They may be personal data: not in production."""

    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=1_073_741_824)
    """The largest request body. A longer one is a 413."""
    max_header_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)
    """The largest headers of a request in all, 32 added for each. Longer ones are a 431."""
    stream_send_timeout_seconds: Seconds = 30.0
    """How long a client may take to accept 64 KiB of a stream, before the stream is ended."""
    ready_timeout_seconds: Seconds = 2.0
    """How long the readiness check waits for the database."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The least severe messages that are logged."""
    log_json: Annotated[bool | None, empty_is_none] = None
    """One JSON object a line, or lines for people. Not set: for people on a terminal only."""
    docs_enabled: bool = True
    """Serve the API's documentation, `/docs`, `/redoc` and `/openapi.json`."""

    @property
    def primary_url(self) -> URL:
        return parse_url(self.database_url)

    @property
    def replica_url(self) -> URL:
        return parse_url(self.database_replica_url or self.database_url)


async def get_settings(request: Request) -> Any:
    """The settings that the application was created with: `SettingsDep` in `app/settings.py`."""
    return request.app.state.settings
