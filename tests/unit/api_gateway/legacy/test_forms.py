"""The fields of POST /api/token, in every form that clients send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.legacy.forms import read_fields

NAMES = ("application", "purpose", "permit")
FORM = "application/x-www-form-urlencoded"


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body", "query", "expected"),
    [
        ("", b"", b"", {}),
        (FORM, b"application=app&permit=v2%2Cv3", b"", {"application": "app", "permit": "v2,v3"}),
        (FORM + "; charset=UTF-8", b"application=a+b", b"", {"application": "a b"}),
        ("", b"application=untyped", b"", {"application": "untyped"}),
        (FORM, b"application=", b"", {"application": ""}),
        (FORM, b"other=1", b"", {}),
        ("application/json", b'{"application":"json","permit":null,"purpose":["p"]}', b"", {"application": "json"}),
        (
            "application/json",
            b'{"application":16,"permit":true,"purpose":false}',
            b"",
            dict(zip(NAMES, ["16", "0", "1"], strict=True)),
        ),
        (
            "application/json",
            b'{"application":16.0,"permit":1.5,"purpose":1e99}',
            b"",
            dict(zip(NAMES, ["16", str(int(1e99)), "1.5"], strict=True)),
        ),
        ("application/json", b"[1]", b"", {}),
        ("application/json", b"{broken", b"", {}),
        (FORM, b'{"application":"curl -d"}', b"", {"application": "curl -d"}),
        ("", b"", b"application=a+b&purpose=p", {"application": "a b", "purpose": "p"}),
        (FORM, b"purpose=body", b"purpose=query&permit=v2", {"purpose": "body", "permit": "v2"}),
        ("multipart/form-data", b"whatever", b"", {}),
        ("multipart/form-data; boundary=b", b"not multipart", b"", {}),
        (
            "multipart/form-data; boundary=b",
            multipart(
                b'Content-Disposition: form-data; name="application"; filename="application"\r\n\r\nopen',
                b'content-disposition: form-data; name="permit"\r\nContent-Type: text/plain\r\n\r\nv2\r\nv3',
                b"X: y\r\n\r\nno name",
                b"Content-Disposition: form-data\r\n\r\nno name either",
                b'Content-Disposition: form-data; name="permit"\r\n\r\nsecond',
            ),
            b"",
            {"application": "open", "permit": "v2\r\nv3"},
        ),
        (
            'Multipart/Form-Data; boundary="x y"',
            multipart("Content-Disposition: form-data; name=purpose\r\n\r\nä".encode(), boundary=b"x y"),
            b"",
            {"purpose": "ä"},
        ),
    ],
)
def test_fields(content_type: str, body: bytes, query: bytes, expected: dict[str, str]) -> None:
    assert read_fields(NAMES, content_type, body, query) == expected


@given(
    st.sampled_from(["", FORM, "application/json", "multipart/form-data; boundary=b", "ä/;;"]),
    st.binary(max_size=80),
    st.binary(max_size=40),
)
def test_any_body_is_taken(content_type: str, body: bytes, query: bytes) -> None:
    fields = read_fields(NAMES, content_type, body, query)
    assert all(isinstance(value, str) for value in fields.values())
