"""What every answer tells browsers: to take it for what it is, to show it in no frame, and to send no address on."""

from collections.abc import Sequence
from typing import Final

from starlette.types import Scope

from api_gateway.edge.fields import Field

CSP: Final = b"content-security-policy"

# An answer of the API is no page: whoever makes a browser show it as one gets nothing that runs or loads.
NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"

FIXED: Final[tuple[Field, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)

_POLICY: Final = ((CSP, NOTHING),)


def raw_fields() -> bytes:
    """The headers of an answer that is written by hand."""
    return b"".join(b"%s: %s\r\n" % field for field in (*FIXED, (CSP, NOTHING)))


class SecurityFields:
    """Those of every answer; a page that brings a policy of its own keeps it.

    Args:
        hsts: seconds for which browsers that have come over TLS shall come over TLS alone; 0: they are not told.
    """

    def __init__(self, hsts: int) -> None:
        self._over_tls = (*FIXED, (b"strict-transport-security", b"max-age=%d" % hsts)) if hsts else FIXED

    def __call__(self, scope: Scope, headers: Sequence[Field]) -> Sequence[Field]:
        """The fields of an answer that has these already."""
        fixed = self._over_tls if scope["scheme"] in ("https", "wss") else FIXED
        return fixed if any(name == CSP for name, _ in headers) else fixed + _POLICY
