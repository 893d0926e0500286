"""`/docs` and `/redoc` in a real browser that reaches nothing but the service."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import Rendered
from tests.machine import browser
from tests.project import Virtualenv
from tests.test_serving import serving

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


def test_the_pages_show_the_operations_and_ask_nobody_else(
    rendered: Rendered, virtualenv: Virtualenv, tmp_path: Path
) -> None:
    program = browser()
    project = rendered(tmp_path / "project")
    with serving(project, virtualenv(project)) as service:
        origin = str(service.client.base_url).rstrip("/")
        for page in ("/docs", "/redoc"):
            shown, asked = visit(program, origin + page, tmp_path / page.lstrip("/"))
            assert "Create User" in shown
            assert f"{origin}/openapi.json" in asked
            assert [each for each in asked if not each.startswith(f"{origin}/")] == []


def visit(program: str, url: str, folder: Path) -> tuple[str, set[str]]:
    """Returns the page when its scripts have run, and the addresses that it has asked for."""
    log = folder.with_suffix(".json")
    options = (f"--user-data-dir={folder}", f"--log-net-log={log}", url)
    shown = subprocess.run(
        [program, *OPTIONS, *options], check=True, capture_output=True, text=True, timeout=120
    )
    parameters = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = {each["url"] for each in parameters if "url" in each and is_of_page(each, url)}
    return shown.stdout, {each for each in asked if not each.startswith(("data:", "blob:"))}


def is_of_page(parameters: dict[str, Any], url: str) -> bool:
    """Whether the page asks, and not the browser on its own account."""
    initiator = parameters.get("initiator")
    return isinstance(initiator, str) and url.startswith(f"{initiator}/")
