"""What a request says about who sends it."""

import base64

import pytest

from api_gateway.auth.credentials import BearerToken, Password, from_authorization, from_query, headers_of, session_id


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        ("ovmsapisession=ABC", "ABC"),
        ("a=b; ovmsapisession=ABC", "ABC"),
        ("a=b;ovmsapisession=ABC", "ABC"),
        ("ovmsapisession=ABC\r", "ABC"),
        (" ovmsapisession=ABC ; a=b", "ABC"),
        ('ovmsapisession="ABC"', "ABC"),
        ("ovmsapisession=A=B", "A=B"),
        ("ovmsapisession=first; ovmsapisession=second", "first"),
        ("ovmsapisession=", None),
        ("xovmsapisession=ABC", None),
        ("", None),
        (";;;", None),
    ],
)
def test_session_id(cookies: str, expected: str | None) -> None:
    assert session_id(cookies) == expected


def test_headers_of() -> None:
    raw = [(b"host", b"x"), (b"cookie", b"a=b"), (b"cookie", b"ovmsapisession=\xe4"), (b"authorization", b"Basic x")]
    assert headers_of(raw) == ("ä", "Basic x")
    assert headers_of([]) == (None, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"username=demo&password=secret", Password("demo", "secret")),
        (b"password=secret&x=1&username=demo", Password("demo", "secret")),
        (b"username=demo&password=a+b%20c", Password("demo", "a b c")),
        (b"username=demo&password=%zz%", Password("demo", "%zz%")),
        (b"username=demo&password=%C3%A4", Password("demo", "ä")),
        (b"username=demo&password=%FF", Password("demo", "\ufffd")),
        (b"username=&password=", Password("", "")),
        (b"username=demo", None),
        (b"password=secret", None),
        (b"xusername=demo&password=secret", None),
        (b"", None),
    ],
)
def test_from_query(query: bytes, expected: Password | None) -> None:
    assert from_query(query) == expected


def _basic(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer abc", BearerToken("abc")),
        ("bearer  abc ", BearerToken("abc")),
        (f"Basic {_basic(b'demo:secret')}", Password("demo", "secret")),
        (f"basic {_basic(b'demo:a:b')}", Password("demo", "a:b")),
        (f"Basic {_basic(b'demo:secret').rstrip('=')}", Password("demo", "secret")),
        (f"Basic {_basic('jö:ä'.encode())}", Password("jö", "ä")),
        (f"Basic {_basic(b'no colon')}", None),
        ("Basic ?", None),
        ("Basic ä", None),
        ("Basic", None),
        ("Digest abc", None),
        ("", None),
    ],
)
def test_from_authorization(header: str, expected: object) -> None:
    assert from_authorization(header) == expected


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Password("demo", "secret"))
    assert "abc" not in repr(BearerToken("abc"))
