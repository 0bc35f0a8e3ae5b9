"""What answers say about origins."""

import pytest

from api_gateway.edge.cors import Origins

ANY = (b"access-control-allow-origin", b"*")
VARY = (b"vary", b"Origin")


@pytest.mark.parametrize(
    ("setting", "origin", "headers", "allowed"),
    [
        ("*", None, [ANY], False),
        ("*", "https://a", [ANY], True),
        ("", "https://a", [], False),
        ("https://a, https://b/", "https://b", [(b"access-control-allow-origin", b"https://b"), VARY], True),
        ("https://a", "https://c", [VARY], False),
        ("https://a", None, [VARY], False),
    ],
)
def test_origins(setting: str, origin: str | None, headers: list[tuple[bytes, bytes]], allowed: bool) -> None:
    origins = Origins(setting)
    assert list(origins.headers(origin)) == headers
    assert origins.allow(origin) is allowed
