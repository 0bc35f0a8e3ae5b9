"""Serves the page that a link leads to. The secret is in the fragment of its address: it comes here only as a bearer token.

The page asks this server alone, under a policy that lets nothing else in: no script in the page, no frame around it.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_gateway.answers import Plain

PAGE: Final = "/shared"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_FILES: Final = {
    PAGE: ("page.html", b"text/html; charset=utf-8"),
    f"{PAGE}/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    f"{PAGE}/page.css": ("page.css", b"text/css; charset=utf-8"),
    f"{PAGE}/icon.svg": ("icon.svg", b"image/svg+xml"),
}


def make_router() -> APIRouter:
    """One route a file."""
    router = APIRouter(include_in_schema=False)
    for path, (name, kind) in _FILES.items():
        router.add_api_route(path, _file((files(__package__) / name).read_bytes(), kind), methods=["GET"])
    return router


def _file(body: bytes, content_type: bytes) -> Callable[..., Any]:
    tag = b'"%s"' % sha256(body).hexdigest()[:20].encode()
    headers = (
        (b"content-type", content_type),
        (b"content-security-policy", POLICY.encode()),
        (b"cache-control", b"no-cache"),
        (b"etag", tag),
    )

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match", "").encode("latin-1") == tag:
            return Plain(b"", 304, *headers[1:])
        return Plain(body, 200, *headers)

    return serve
