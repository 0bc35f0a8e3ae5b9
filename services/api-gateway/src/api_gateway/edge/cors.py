"""Which origins a browser may call from, and what each answer says about it."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api_gateway.answers import Plain
from api_gateway.edge.fields import Field

METHODS: Final = b"GET, PUT, POST, PATCH, DELETE"
_HEADERS: Final = b"Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, X-Request-ID"
_EXPOSED: Final = (b"access-control-expose-headers", b"X-Request-ID")
_ANY: Final = ((b"access-control-allow-origin", b"*"), _EXPOSED)


class Origins:
    """The origins that a setting allows: `*`, a list with commas, or none."""

    def __init__(self, setting: str) -> None:
        self._listed = frozenset(origin.strip().rstrip("/") for origin in setting.split(",") if origin.strip())
        self.any = "*" in self._listed

    def fields(self, scope: Scope, _: Sequence[Field]) -> Sequence[Field]:
        """What an answer to this request carries."""
        return _ANY if self.any else self.headers(Headers(scope=scope).get("origin"))

    def headers(self, origin: str | None) -> Sequence[Field]:
        """What an answer to a request from this origin carries."""
        if self.any:
            return _ANY
        if not self._listed:
            return ()
        vary = (b"vary", b"Origin")
        if origin is None or origin not in self._listed:
            return (vary,)
        return ((b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED, vary)

    def allow_cookie(self, origin: str | None, host: str | None, site: str | None) -> bool:
        """Return whether a session cookie counts for a request that a browser sends without asking, or may not keep secret.

        Not for pages of other origins, unless the setting lists them; `*` stands for pages that call without cookies.

        Args:
            site: Sec-Fetch-Site, in which browsers say how the page relates to this server; no page can write it.
        """
        if site in ("same-origin", "none") or origin in self._listed:
            return True
        return site != "cross-site" and (origin is None or origin.partition("://")[2] == host)

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


class Preflights:
    """Middleware that answers a browser that asks before it calls, from an origin that may."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = preflight() if self._is_preflight(scope) else self._app
        await app(scope, receive, send)

    def _is_preflight(self, scope: Scope) -> bool:
        if scope.get("method") != "OPTIONS":
            return False
        headers = Headers(scope=scope)
        return "access-control-request-method" in headers and self._origins.allow(headers.get("origin"))
