"""`/docs` and `/redoc` in a real browser that reaches nothing but the service."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Rendered
from tests.machine import browser
from tests.project import Virtualenv
from tests.test_serving import serving

BROWSER_SECONDS = 120
OPTIONS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--virtual-time-budget=20000",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--dump-dom",
)


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_a_page_shows_the_operations_and_asks_nobody_else(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path, page: str
) -> None:
    program = browser()
    project = rendered(tmp_path / "project")
    log = tmp_path / "net.json"
    with serving(project, virtualenv(project)) as service:
        url = service.client.base_url.join(f"/{page}")
        options = (f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", str(url))
        shown = subprocess.run(
            [program, *OPTIONS, *options],
            check=True,
            capture_output=True,
            text=True,
            timeout=BROWSER_SECONDS,
        ).stdout
    assert "Create User" in shown
    origin = f"http://{url.host}:{url.port}"
    asked = asked_by_page(json.loads(log.read_text()), origin)
    assert f"{origin}/openapi.json" in asked
    assert [each for each in asked if not each.startswith((f"{origin}/", "data:", "blob:"))] == []


def asked_by_page(log: dict[str, Any], origin: str) -> set[str]:
    """What the page loaded. What the browser asks on its own account has no origin."""
    parameters = [event.get("params", {}) for event in log["events"]]
    return {each["url"] for each in parameters if each.get("initiator") == origin and "url" in each}
