"""Settings that every service has, read from the environment and from the file `.env`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from starlette.requests import Request

from app.core import driver
from app.core.hosts import parse_host, split_hosts

DEVELOPMENT = "development"
NOT_SET: Any = None  # the default of a setting that another one decides


def check_url(value: SecretStr) -> SecretStr:
    try:
        parse_url(value)
    except ArgumentError:
        raise ValueError("is not a database URL") from None
    return value


def parse_url(value: SecretStr) -> URL:
    return driver.check_url(make_url(value.get_secret_value()))


def public_address(url: URL) -> str:
    """Return where the database is, without the role, its password and options."""
    address = URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
    return address.render_as_string()


DatabaseUrl = Annotated[SecretStr, AfterValidator(check_url)]
# An empty variable counts as not set: compose files and platforms set such variables.
empty_is_none = BeforeValidator(lambda value: None if value == "" else value)
Environment = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=100)
]
# Comma-separated, and not JSON as other lists: `NoDecode`.
Hosts = Annotated[
    Sequence[Annotated[str, AfterValidator(parse_host)]],
    NoDecode,
    BeforeValidator(lambda value: split_hosts(value) if isinstance(value, str) else value),
]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class CoreSettings(BaseSettings):
    """The template's settings. `app/settings.py` adds the service's own.

    An invalid value is an error at startup. The message names the variable but not its value,
    which may contain a password.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: Environment = DEVELOPMENT
    """Where the service runs. Any other name than `development` is public: it must be safe."""
    allowed_hosts: Hosts = ()
    """The host names of the service. Required outside development; there, empty means any."""

    database_url: DatabaseUrl = SecretStr(driver.DEFAULT_URL)
    """The URL of the database. Percent-encode the password: %40 for @, %2F for /."""
    database_replica_url: Annotated[DatabaseUrl | None, empty_is_none] = None
    """A replica for read sessions. If not set, they use the primary database."""
    database_migration_url: Annotated[DatabaseUrl | None, empty_is_none] = None
    """The same database for migrations, as a role that may change tables. If not set, as above."""

    database_pool_size: int = Field(default=10, ge=1, le=1000)
    """The number of connections that a process keeps open, for reading and for writing each."""
    database_max_overflow: int = Field(default=0, ge=0, le=1000)
    """Additional connections under load. They are closed after use, which is expensive."""
    database_job_pool_size: int = Field(default=2, ge=1, le=1000)
    """Replaces both of the above for scripts and jobs, which do one thing at a time."""
    database_stream_pool_size: int = Field(default=3, ge=1, le=1000)
    """Connections for streamed responses: the maximum number of concurrent streams."""
    database_pool_timeout_seconds: Seconds = 2.0
    """How long a request waits for a free connection before it fails with a 503."""
    database_pool_recycle_seconds: int = Field(default=1800, ge=1, le=86_400)
    """The age after which a connection is replaced."""
    database_ping_after_idle_seconds: float = Field(default=30.0, ge=0, le=86_400)
    """A connection that was idle for longer is pinged before use. 0: ping every connection."""
    database_connect_timeout_seconds: Seconds = 5.0
    """How long connecting to the database may take."""
    database_statement_timeout_seconds: Seconds = 10.0
    """How long one statement of a request may take."""
    database_lock_timeout_seconds: Seconds = 5.0
    """How long a statement waits for a row that another transaction is changing."""
    database_migration_lock_timeout_seconds: Seconds = 5.0
    """How long a migration waits for a lock. Requests for the same table wait as well."""
    database_migration_attempts: int = Field(default=20, ge=1, le=1000)
    """How often a migration tries to get a lock, with one second between attempts."""
    database_request_timeout_seconds: Seconds = 15.0
    """How long a request may use the database in total before it fails with a 503."""
    database_echo: bool = False
    """Log each statement with its parameters, and serve the latest at `/_statements`.

    Not for production: the parameters may be personal data.
    """

    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=1_073_741_824)
    """The maximum size of a request body. A larger one is a 413."""
    max_header_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)
    """The maximum total size of the headers, plus 32 for each. Larger ones are a 431."""
    stream_send_timeout_seconds: Seconds = 30.0
    """How long a client may take to accept 64 KiB of a stream before the stream is ended."""
    ready_timeout_seconds: Seconds = 2.0
    """How long the readiness check waits for the database."""
    shutdown_delay_seconds: float = Field(default=0.0, ge=0, le=3600)
    """How long the service continues to serve, but reports that it is not ready, after SIGTERM."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The minimum severity of messages that are logged."""
    log_json: Annotated[bool | None, empty_is_none] = None
    """Log JSON or plain text. If not set, plain text on a terminal and JSON elsewhere."""
    docs_enabled: bool = Field(default=NOT_SET, validate_default=True)
    """Serve `/docs`, `/redoc` and `/openapi.json`. If not set, in development only."""

    @field_validator("docs_enabled", mode="before")
    @classmethod
    def _fill_in(cls, value: Any, info: ValidationInfo) -> Any:
        return info.data.get("environment") == DEVELOPMENT if value in (NOT_SET, "") else value

    @property
    def is_public(self) -> bool:
        return self.environment != DEVELOPMENT

    @property
    def primary_url(self) -> URL:
        return parse_url(self.database_url)

    @property
    def replica_url(self) -> URL:
        return parse_url(self.database_replica_url or self.database_url)


async def get_settings(request: Request) -> Any:
    """Return the settings of the application. See `SettingsDep` in `app/settings.py`."""
    return request.app.state.settings
