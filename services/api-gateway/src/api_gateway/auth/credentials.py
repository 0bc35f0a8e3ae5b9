"""What a request says about who sends it: the session cookie, the query, the Authorization header. Pure."""

import base64
import binascii
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs

from ovms.auth.credentials import BearerToken, Credential, Password

COOKIE: Final = "ovmsapisession"
_PREFIX: Final = COOKIE + "="


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, str | None]:
    """The session id in the cookies and the Authorization header, where there are such."""
    session, authorization = None, None
    for name, value in raw:
        if name == b"cookie" and session is None:
            session = session_id(value.decode("latin-1"))
        elif name == b"authorization" and authorization is None:
            authorization = value.decode("latin-1")
    return session, authorization


def device_of(raw: Iterable[tuple[bytes, bytes]]) -> str:
    """What a client calls itself in its User-Agent header; empty where it does not."""
    return next((value.decode("latin-1") for name, value in raw if name == b"user-agent"), "")


def presented(raw: Iterable[tuple[bytes, bytes]], query: bytes) -> tuple[str | None, Credential | None]:
    """Return the session id and the credential that a request carries; one in the query comes before the header."""
    session, authorization = headers_of(raw)
    return session, from_query(query) or (from_authorization(authorization) if authorization else None)


def session_id(cookies: str) -> str | None:
    """The session id in a Cookie header; blanks and stray CRs around the parts do not matter."""
    for part in cookies.split(";"):
        name_value = part.strip()
        if name_value.startswith(_PREFIX):
            return name_value[len(_PREFIX) :].strip('"') or None
    return None


def from_query(query: bytes) -> Password | None:
    """`username` and `password` of a query; a `%` that starts no escape stands for itself."""
    if b"username" not in query or b"password" not in query:
        return None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True, errors="replace")
    users, secrets = values.get("username"), values.get("password")
    return Password(users[0], secrets[0]) if users and secrets else None


def from_authorization(header: str) -> Credential | None:
    """A `Basic` or `Bearer` credential; None for another scheme or one that does not decode."""
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return BearerToken(rest.strip())
        case "basic":
            return _basic(rest.strip())
        case _:
            return None


def _basic(encoded: str) -> Password | None:
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    user, colon, secret = text.partition(":")
    return Password(user, secret) if colon else None
