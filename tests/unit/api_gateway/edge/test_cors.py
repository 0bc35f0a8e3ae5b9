"""What answers say about origins."""

import pytest

from api_gateway.edge.cors import Origins

ANY = (b"access-control-allow-origin", b"*")
EXPOSED = (b"access-control-expose-headers", b"X-Request-ID")
VARY = (b"vary", b"Origin")


@pytest.mark.parametrize(
    ("setting", "origin", "headers", "allowed"),
    [
        ("*", None, [ANY, EXPOSED], False),
        ("*", "https://a", [ANY, EXPOSED], True),
        ("", "https://a", [], False),
        ("https://a, https://b/", "https://b", [(b"access-control-allow-origin", b"https://b"), EXPOSED, VARY], True),
        ("https://a", "https://c", [VARY], False),
        ("https://a", None, [VARY], False),
    ],
)
def test_origins(setting: str, origin: str | None, headers: list[tuple[bytes, bytes]], allowed: bool) -> None:
    origins = Origins(setting)
    assert list(origins.headers(origin)) == headers
    assert origins.allow(origin) is allowed


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        (None, True),
        ("https://api.example", True),
        ("https://app.example", True),
        ("https://elsewhere.example", False),
        ("https://api.example.elsewhere", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_cookie_counts_from_pages_of_this_server_and_those_that_are_listed(origin: str | None, counts: bool) -> None:
    assert Origins("*, https://app.example").allow_cookie(origin, "api.example") == counts


def test_without_a_host_no_page_is_of_this_server() -> None:
    assert not Origins("*").allow_cookie("https://api.example", None)
