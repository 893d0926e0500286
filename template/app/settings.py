"""The settings that differ between deployments, read from the environment."""

from typing import Annotated

from fastapi import Depends

from app.core.settings import CoreSettings, get_settings


class Settings(CoreSettings):
    """Add the service's own settings here, with type, bounds and default, and to `.env.example`."""


# For endpoints: `async def read_terms(settings: SettingsDep)`.
SettingsDep = Annotated[Settings, Depends(get_settings)]
