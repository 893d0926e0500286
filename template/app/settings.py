"""Everything that differs between deployments, read from the environment."""

from app.core.settings import CoreSettings


class Settings(CoreSettings):
    """Add the service's own here, with type, bounds and default, and in `.env.example`."""
