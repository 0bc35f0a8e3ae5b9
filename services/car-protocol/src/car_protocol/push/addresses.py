"""Where a web hook may lead: an owner must not make this server call what only this server can reach (SSRF)."""

import asyncio
from concurrent.futures import Executor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, SOCK_STREAM, gaierror, getaddrinfo
from typing import Final

import httpx

from car_protocol.push.channel import Refused, Unreachable

# All of IPv6 that is routed on the internet. Python knows the special ranges of its own release; whatever is assigned outside
# of this one later is not public either.
_UNICAST: Final = IPv6Network("2000::/3")

# Ranges of it that are not the internet: protocol assignments (Teredo among them, which holds an IPv4 address), documentation,
# and 6to4, which holds one too (RFC 2928, 4380, 3849, 9637, 3056).
_SPECIAL_IPV6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16")))
# Protocol assignments, and the relays of 6to4 (RFC 6890, 7526).
_SPECIAL_IPV4: Final = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet, and of nothing nearer."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is None:
            return ip in _UNICAST and not any(ip in network for network in _SPECIAL_IPV6) and ip.is_global
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL_IPV4)


async def find_address(url: str, *, allow_private: bool, threads: Executor | None = None) -> str:
    """The IP address that an URL leads to. It is what must be connected to: asked again, a name may lead elsewhere.

    Args:
        threads: that names are looked up in. A look-up cannot be cancelled: where an owner's name server hangs, it holds its
            thread, and the rest of the service must not wait for one.

    Raises:
        Refused: it leads to a private address, or to a public one without TLS.
        Unreachable: its name cannot be looked up.
    """
    parts = httpx.URL(url)
    look_up = partial(getaddrinfo, parts.raw_host.decode(), parts.port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    try:
        found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    except (gaierror, UnicodeError) as error:
        raise Unreachable("the name of the web hook's host cannot be looked up") from error
    addresses = [str(one[4][0]) for one in found]
    are_public = all(map(is_public, addresses))
    if not (are_public or allow_private):
        raise Refused("the web hook leads to a private address")
    if are_public and parts.scheme == "http":
        raise Refused("the web hook is without TLS")
    return addresses[0]
