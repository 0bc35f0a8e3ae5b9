"""Which origins a browser may call from, and what each answer says about it."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway.answers import Plain

METHODS: Final = b"GET, PUT, POST, PATCH, DELETE"
_HEADERS: Final = b"Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, X-Request-ID"
_EXPOSED: Final = (b"access-control-expose-headers", b"X-Request-ID")
_ANY: Final = ((b"access-control-allow-origin", b"*"), _EXPOSED)

Header = tuple[bytes, bytes]


class Origins:
    """The origins that a setting allows: `*`, a list with commas, or none."""

    def __init__(self, setting: str) -> None:
        self._listed = frozenset(origin.strip().rstrip("/") for origin in setting.split(",") if origin.strip())
        self.any = "*" in self._listed

    def headers(self, origin: str | None) -> Sequence[Header]:
        """What an answer to a request from this origin carries."""
        if self.any:
            return _ANY
        if not self._listed:
            return ()
        vary = (b"vary", b"Origin")
        if origin is None or origin not in self._listed:
            return (vary,)
        return ((b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED, vary)

    def allow_cookie(self, origin: str | None, host: str | None) -> bool:
        """Whether a session cookie counts that comes with this origin, where the browser does not keep the answer from it.

        Not for `*`: that are pages that call without cookies.
        """
        return origin is None or origin in self._listed or origin.partition("://")[2] == host

    def allow(self, origin: str | None) -> bool:
        """Whether pages of this origin may call."""
        return origin is not None and (self.any or origin in self._listed)


def preflight() -> Plain:
    """The answer to a browser that asks before it calls."""
    return Plain(
        b"",
        200,
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", _HEADERS),
        (b"access-control-max-age", b"86400"),
    )


class CrossOrigin:
    """Middleware that puts the origin headers on every answer, and answers a browser's preflight from an allowed origin."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        extra = _ANY if self._origins.any else self._origins.headers(Headers(scope=scope).get("origin"))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        app: ASGIApp = preflight() if self._asks_before(scope) else self._app
        await app(scope, receive, send_with_headers)

    def _asks_before(self, scope: Scope) -> bool:
        """Whether a browser asks before it calls, from an origin that may."""
        if scope["method"] != "OPTIONS":
            return False
        headers = Headers(scope=scope)
        return "access-control-request-method" in headers and self._origins.allow(headers.get("origin"))
