"""`/docs` and `/redoc`, from files that are served here: no page asks anything of another server.

The scripts are those of the package `fastapi-offline` (MIT; Swagger UI is Apache-2.0, Redoc MIT). They are served as files
of this origin under a policy that lets nothing else in; our own few lines are files too, so that no inline script is needed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from api_gateway.answers import Plain, error_answer
from api_gateway.documentation.openapi import TITLE, make_document
from api_gateway.errors import NotFound

ASSETS: Final = "/docs/assets"

# The one picture that Redoc fetches from its maker, in the foot of its menu.
_REDOC_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_BLANK: Final = b"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"

# Both put styles of their own into the page; Redoc's search runs in a worker made from a blob.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_SWAGGER_OPTIONS: Final = {
    "url": "/openapi.json",
    "dom_id": "#swagger-ui",
    "deepLinking": True,
    "displayRequestDuration": True,
    "validatorUrl": None,  # Swagger UI would send the document to its maker's validator
}
_START_SWAGGER: Final = f"window.ui = SwaggerUIBundle({json.dumps(_SWAGGER_OPTIONS)});\n".encode()
_START_REDOC: Final = b"Redoc.init('/openapi.json', {disableSearch: false}, document.getElementById('redoc'));\n"

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{assets}/favicon.png">
{styles}</head>
<body>
<div id="{element}"></div>
<script src="{assets}/{script}"></script>
<script src="{assets}/{start}"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    body: bytes
    content_type: bytes
    tag: bytes


def read_assets() -> Mapping[str, Asset]:
    """All files of the pages, from the package and our own."""
    folder = files("fastapi_offline") / "static"
    texts = {
        "swagger-ui.css": ((folder / "swagger-ui.css").read_bytes(), b"text/css"),
        "swagger-ui-bundle.js": ((folder / "swagger-ui-bundle.js").read_bytes(), b"text/javascript"),
        "redoc.standalone.js": (
            (folder / "redoc.standalone.js").read_bytes().replace(_REDOC_LOGO, _BLANK),
            b"text/javascript",
        ),
        "favicon.png": ((folder / "favicon.png").read_bytes(), b"image/png"),
        "start-swagger.js": (_START_SWAGGER, b"text/javascript"),
        "start-redoc.js": (_START_REDOC, b"text/javascript"),
    }
    return {name: Asset(body, kind, b'"%s"' % sha256(body).hexdigest()[:20].encode()) for name, (body, kind) in texts.items()}


def add_pages(app: FastAPI) -> None:
    """Serve the document, the two pages that show it and their files."""
    swagger = _page("Swagger UI", "swagger-ui", "swagger-ui-bundle.js", "start-swagger.js", style="swagger-ui.css")
    redoc = _page("Redoc", "redoc", "redoc.standalone.js", "start-redoc.js")
    app.add_api_route("/openapi.json", _document(app), include_in_schema=False)
    app.add_api_route("/docs", _fixed(swagger, b"text/html; charset=utf-8"), include_in_schema=False)
    app.add_api_route("/redoc", _fixed(redoc, b"text/html; charset=utf-8"), include_in_schema=False)
    app.add_api_route(f"{ASSETS}/{{name}}", _assets(read_assets()), include_in_schema=False)


def _page(title: str, element: str, script: str, start: str, *, style: str | None = None) -> bytes:
    styles = f'<link rel="stylesheet" href="{ASSETS}/{style}">\n' if style else ""
    values = {"title": f"{TITLE}: {title}", "assets": ASSETS, "element": element, "script": script, "start": start}
    return _PAGE.format(styles=styles, **values).encode()


def _document(app: FastAPI) -> Callable[..., Any]:
    made: list[bytes] = []

    async def serve() -> Response:
        if not made:
            made.append(orjson.dumps(make_document(app)))
        return Plain(made[0], 200, (b"content-type", b"application/json"))

    return serve


def _fixed(body: bytes, content_type: bytes) -> Callable[..., Any]:
    headers = (
        (b"content-type", content_type),
        (b"content-security-policy", POLICY.encode()),
    )

    async def serve() -> Response:
        return Plain(body, 200, *headers)

    return serve


def _assets(assets: Mapping[str, Asset]) -> Callable[..., Any]:
    async def serve(name: str, request: Request) -> Response:
        if (asset := assets.get(name)) is None:
            return error_answer(NotFound)
        caching = ((b"etag", asset.tag), (b"cache-control", b"public, max-age=3600"))
        if request.headers.get("if-none-match", "").encode("latin-1") == asset.tag:
            return Plain(b"", 304, *caching)
        return Plain(asset.body, 200, (b"content-type", asset.content_type), *caching)

    return serve
