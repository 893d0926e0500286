"""The application, for any ASGI server: `fastapi run`, `uvicorn app.main:app`."""

from app.api import router
from app.core.application import create_application
from app.settings import Settings

app = create_application(router, Settings())
