"""What every answer tells browsers: to take it for what it is, to show it in no frame, and to send no address on."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

CSP: Final = b"content-security-policy"

# An answer of the API is no page: whoever makes a browser show it as one gets nothing that runs or loads.
NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"

FIXED: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)

_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


def raw_fields() -> bytes:
    """The headers of an answer that is written by hand."""
    return b"".join(b"%s: %s\r\n" % field for field in (*FIXED, (CSP, NOTHING)))


class SecurityHeaders:
    """Middleware around everything else; a page that brings a policy of its own keeps it.

    Args:
        hsts: seconds for which browsers that have come over TLS shall come over TLS alone; 0: they are not told.
    """

    def __init__(self, app: ASGIApp, hsts: int) -> None:
        self._app = app
        self._in_clear = FIXED
        self._over_tls = (*FIXED, (b"strict-transport-security", b"max-age=%d" % hsts)) if hsts else FIXED

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        fixed = self._over_tls if scope["scheme"] in ("https", "wss") else self._in_clear

        async def send_with_fields(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = message.get("headers", ())
                policy = () if any(name == CSP for name, _ in headers) else ((CSP, NOTHING),)
                message["headers"] = [*headers, *fixed, *policy]
            await send(message)

        await self._app(scope, receive, send_with_fields)
