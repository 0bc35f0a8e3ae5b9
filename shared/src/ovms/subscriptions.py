"""What a push subscription may be: the types that notifications are pushed by, and the form of the keys of each."""

import re
from collections.abc import Mapping
from typing import Final

import httpx

LONGEST_NAME: Final = 255
LONGEST_KEY: Final = 2048

MAIL: Final = "mail"
FCM: Final = "gcm"
APNS: Final = "apns"
EXPO: Final = "expo"
WEBHOOK: Final = "webhook"

_KEYS: Final[Mapping[str, re.Pattern[str]]] = {
    MAIL: re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}"),
    FCM: re.compile(r"[!-~]+"),
    # The iOS app once sent the beginning of a description, `{length=32`, for a token.
    APNS: re.compile(r"(?:[0-9A-Fa-f]{2}){8,100}"),
    EXPO: re.compile(r"[!-~]+"),
    WEBHOOK: re.compile(r"[!-~]+"),
}

_SHOWN: Final = 4


def has_form(push_type: str, key: str) -> bool:
    """Whether a key may be one of this type, and there is such a type."""
    form = _KEYS.get(push_type)
    if form is None or len(key) > LONGEST_KEY or not form.fullmatch(key):
        return False
    return push_type != WEBHOOK or is_webhook(key)


def is_webhook(url: str) -> bool:
    """Whether a text is an URL that a web hook may have."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    has_port = parts.port is None or 0 < parts.port < 65_536
    return parts.scheme in ("https", "http") and bool(parts.host) and not parts.userinfo and has_port


def endpoint_of(push_type: str, key: str) -> str:
    """Return what fails or hangs as a whole for an owner: a mail address, the host of a web hook, or all of a push service."""
    match push_type:
        case "mail":
            return key.lower()
        case "webhook":
            return httpx.URL(key).netloc.decode().lower()
        case _:
            return ""


def redact(push_type: str, key: str) -> str:
    """What may be shown of a key: enough to know it again, not enough to use it."""
    match push_type:
        case "mail":
            return f"{key[:1]}…@{key.partition('@')[2]}"
        case "webhook":
            parts = httpx.URL(key)
            return f"{parts.scheme}://{parts.host}/…"
        case _:
            return f"…{key[-_SHOWN:]}" if len(key) > 4 * _SHOWN else "…"
