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
    ("origin", "site", "counts"),
    [
        (None, None, True),
        ("https://api.example", None, True),
        ("https://app.example", None, True),
        ("https://app.example", "cross-site", True),
        ("https://elsewhere.example", None, False),
        ("https://api.example.elsewhere", None, False),
        ("null", None, False),
        ("", None, False),
        (None, "none", True),
        (None, "same-origin", True),
        # A proxy may give the server another name than the browser knows it by.
        ("https://outside.example", "same-origin", True),
        (None, "same-site", True),
        ("https://other.api.example", "same-site", False),
        (None, "cross-site", False),
        ("https://api.example", "cross-site", False),
        ("null", "cross-site", False),
    ],
)
def test_a_cookie_counts_from_pages_of_this_server_and_those_that_are_listed(
    origin: str | None, site: str | None, counts: bool
) -> None:
    assert Origins("*, https://app.example").allow_cookie(origin, "api.example", site) == counts


def test_without_a_host_no_page_is_of_this_server() -> None:
    assert not Origins("*").allow_cookie("https://api.example", None, None)
