"""What answers tell browsers."""

import pytest

from api_gateway.edge.security import CSP, NOTHING, SecurityFields


@pytest.mark.parametrize(
    ("scheme", "hsts", "expected"),
    [("https", 60, [b"max-age=60"]), ("https", 0, []), ("http", 60, [])],
)
def test_browsers_are_told_to_stay_with_tls_where_they_have_it(scheme: str, hsts: int, expected: list[bytes]) -> None:
    fields = SecurityFields(hsts)({"type": "http", "scheme": scheme}, [])
    assert [value for name, value in fields if name == b"strict-transport-security"] == expected


def test_a_page_keeps_the_policy_that_it_brings() -> None:
    fields = SecurityFields(0)
    assert (CSP, NOTHING) in fields({"scheme": "http"}, [(b"content-type", b"text/html")])
    assert CSP not in dict(fields({"scheme": "http"}, [(CSP, b"default-src 'self'")]))
