"""Find the caller of a request, within its limits, and protect callers that a browser signs in by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from api_gateway.auth.authenticator import Authenticator, Caller
from api_gateway.edge.addresses import Proxies
from api_gateway.edge.cors import Origins
from api_gateway.edge.limits import Limits
from api_gateway.edge.server import KNOWN
from api_gateway.errors import AuthenticationFailed, CrossSite
from api_gateway.refusals import is_typed
from ovms.auth.delays import network

_ACTING: Final = ("/api/cookie", "/api/vehicle/", "/api/features/", "/api/parameters/")
"""Calls with GET that change something all the same: they start a session, or make the car do something."""


@dataclass(frozen=True, slots=True)
class Callers:
    """The callers of this service."""

    authenticator: Authenticator
    proxies: Proxies
    limits: Limits
    origins: Origins

    async def find(self, scope: Scope, headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Caller:
        """Return the caller with these headers and this query, whose credential stands, and count the call.

        Raises:
            AuthenticationFailed: there is no credential, or none that is right.
            CrossSite: a page of another site sends a session cookie along with a call that changes something.
        """
        address = partial(self.proxies.address_of, scope)
        try:
            caller = await self.authenticator.authenticate(headers, query, address)
        except AuthenticationFailed:
            if is_typed(scope["path"]):
                self.limits.take(scope, network(address()))
            raise
        self.limits.take(scope, (caller.owner_id, caller.login.proof))
        if (known := scope["state"].get(KNOWN)) is not None:
            known(scope["client"])
        if scope.get("method", "GET") not in ("GET", "HEAD") or scope["path"].startswith(_ACTING):
            self.check_site(scope, caller)
        return caller

    async def find_claimant(self, scope: Scope) -> Caller:
        """Return the caller of a polled read, whose own statement says whether the credential still stands."""
        address = partial(self.proxies.address_of, scope)
        authenticate = self.authenticator.authenticate
        caller = await authenticate(scope["headers"], scope["query_string"], address, checks_later=True)
        self.limits.take(scope, (caller.owner_id, caller.login.proof))
        return caller

    def check_site(self, scope: Scope, caller: Caller) -> None:
        """Raise `CrossSite` where only the session cookie signs a caller in, and a page of another site sends it.

        Browsers attach cookies to requests of any page, so a cookie alone does not say that the caller wants the call.
        """
        if caller.session is None:
            return
        headers = Headers(scope=scope)
        if not self.origins.allow_cookie(headers.get("origin"), headers.get("host"), headers.get("sec-fetch-site")):
            raise CrossSite
