import re

import pytest
from httpx import AsyncClient

from app.core.application import create_application
from app.core.settings import CoreSettings
from tests.core import lab
from tests.core.conftest import connect

LOADED = re.compile(r'(?:src|href)="([^"]+)"')


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
@pytest.mark.parametrize("root", ["", "/api"])
async def test_a_page_loads_its_files_from_the_service_alone(page: str, root: str) -> None:
    app = create_application(lab.router, CoreSettings())
    app.root_path = root

    async with connect(app) as client:
        shown = await client.get(f"{root}{page}")
        files = LOADED.findall(shown.text)
        answers = [await client.get(file) for file in files]

    assert len(files) >= 2
    assert [file for file in files if not file.startswith(f"{root}/")] == []
    assert {answer.status_code for answer in answers} == {200}
    assert "https://" not in shown.text
    assert f"{root}/openapi.json" in shown.text


async def test_the_page_that_ends_a_login_is_there(client: AsyncClient) -> None:
    assert "/docs/oauth2-redirect" in (await client.get("/docs")).text
    assert (await client.get("/docs/oauth2-redirect")).status_code == 200


async def test_what_the_service_says_about_the_page_is_kept() -> None:
    app = create_application(lab.router, CoreSettings())
    app.swagger_ui_parameters = {"tryItOutEnabled": True}

    async with connect(app) as client:
        assert '"tryItOutEnabled": true' in (await client.get("/docs")).text
