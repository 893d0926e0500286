"""The pages `/docs` and `/redoc`, which load nothing from the internet."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import (
    get_redoc_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
)
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

# Only its files: its own class replaces functions of FastAPI for all applications of the process.
PACKAGE = "fastapi_standalone_docs"
FILES = "/docs/static"


def serve_documentation(app: FastAPI) -> None:
    """Add the pages, as FastAPI's `docs_url` and `redoc_url` do, and the files that they load."""

    async def show_swagger(request: Request) -> HTMLResponse:
        root = root_path_of(request)
        redirect = app.swagger_ui_oauth2_redirect_url
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{root}{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{root}{FILES}/favicon.png",
            oauth2_redirect_url=f"{root}{redirect}" if redirect else None,
            init_oauth=app.swagger_ui_init_oauth,
            swagger_ui_parameters=app.swagger_ui_parameters,
        )

    async def end_login(_: Request) -> HTMLResponse:
        return get_swagger_ui_oauth2_redirect_html()

    async def show_redoc(request: Request) -> HTMLResponse:
        root = root_path_of(request)
        return get_redoc_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - ReDoc",
            redoc_js_url=f"{root}/redoc/redoc.standalone.js",
            redoc_favicon_url=f"{root}{FILES}/favicon.png",
            with_google_fonts=False,
        )

    app.add_route("/docs", show_swagger, include_in_schema=False)
    app.add_route("/redoc", show_redoc, include_in_schema=False)
    if app.swagger_ui_oauth2_redirect_url:
        app.add_route(app.swagger_ui_oauth2_redirect_url, end_login, include_in_schema=False)
    app.mount(
        FILES, StaticFiles(packages=[(PACKAGE, "static/swagger"), (PACKAGE, "static/fastapi")])
    )
    app.mount("/redoc", StaticFiles(packages=[(PACKAGE, "static/redoc")]))  # its script asks there


def root_path_of(request: Request) -> str:
    """Return the path below which a proxy serves the application."""
    path: str = request.scope.get("root_path", "")
    return path.rstrip("/")
