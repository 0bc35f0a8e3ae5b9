"""What every answer tells browsers, whatever is asked and however it is refused."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from api_gateway.app import make_api
from api_gateway.documentation.pages import read_assets
from fixtures.gateway import Gateway, routes_of

PAGES = ("/docs", "/mail/confirm", "/redoc", "/shared")
NOTHING = "default-src 'none'; frame-ancestors 'none'"
FIXED = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer"}


PATHS = sorted(
    {
        *(re.sub(r"\{[^}]*\}", "DEMO", route.path) for route in routes_of(make_api().routes)),
        *(f"/docs/assets/{name}" for name in read_assets()),
    }
)


def check(answer: httpx.Response) -> None:
    """Each header is there, once."""
    for name, value in FIXED.items():
        assert answer.headers.get_list(name) == [value], (answer.request.url, name)
    [policy] = answer.headers.get_list("content-security-policy")
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert not re.search(r"\*|https?:|'unsafe-eval'", policy)
    assert "'unsafe-inline'" not in directives.get("script-src", "")
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    assert (policy != NOTHING) == (is_page or (answer.request.url.path.startswith("/shared") and answer.status_code < 400))
    assert "strict-transport-security" not in answer.headers


async def test_every_path_and_every_refusal(gateway: Gateway) -> None:
    assert len(PATHS) > 60
    pages = []
    async with gateway.client(params={"username": "demo", "password": "secret"}) as client:
        for path in (*PATHS, "/", "/nowhere", "/api/v1", "/api/v1/nowhere"):
            if path.endswith("/events"):
                continue  # it has no end
            answer = await client.get(path)
            check(answer)
            if answer.headers.get("content-type", "").startswith("text/html"):
                pages.append(path)
    async with gateway.client() as client:
        for method, path in [("GET", "/api/v1/events"), ("POST", "/docs"), ("PUT", "/api/vehicles"), ("BREW", "/shared")]:
            check(await client.request(method, path))
        preflight = {"Origin": "https://a", "Access-Control-Request-Method": "GET"}
        check(await client.options("/api/v1/vehicles", headers=preflight))
        tag = (await client.get("/shared")).headers["etag"]
        check(await client.get("/shared", headers={"If-None-Match": tag}))
    assert tuple(pages) == PAGES


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
    ],
)
async def test_what_the_edge_refuses_itself(gateway: Gateway, request_: bytes, status: bytes) -> None:
    head, _, _ = (await gateway.raw(request_)).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert {*FIXED.items(), ("content-security-policy", NOTHING)} <= {
        tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n")[1:]
    }


async def test_a_refused_websocket(gateway: Gateway) -> None:
    upgrade = (
        b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer x\r\n\r\n"
    )
    answer = (await gateway.raw(upgrade)).lower()
    assert answer.split()[1] == b"401"
    assert b"x-content-type-options: nosniff" in answer


class Elements(HTMLParser):
    """What a page runs and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_script = tag == "script"
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag == "style" else []
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        if self._is_script and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_have_nothing_inline_and_nothing_from_elsewhere(gateway: Gateway, path: str) -> None:
    async with gateway.client() as client:
        page = Elements()
        page.feed((await client.get(path)).text)
        assert page.inline == []
        assert page.loaded
        for address in page.loaded:
            assert address.startswith("/")
            assert not address.startswith("//")
            assert (await client.get(address)).status_code == 200
