"""Where a web hook may lead: an owner must not make this server call what only this server can reach (SSRF)."""

import asyncio
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, SOCK_STREAM, gaierror
from typing import Final

import httpx

from car_protocol.push.channel import Refused, Unreachable

# Public by themselves, but each holds an IPv4 address that a gateway may take a packet to (RFC 6052, 8215, 3056, 4380).
_TUNNELS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, and of nothing nearer."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if any(ip in network for network in _TUNNELS):
            return False
        ip = ip.ipv4_mapped or ip
    return ip.is_global and not ip.is_multicast


async def find_address(url: str, *, allow_private: bool) -> str:
    """The IP address that an URL leads to. It is what must be connected to: asked again, a name may lead elsewhere.

    Raises:
        Refused: it leads to a private address, or to a public one without TLS.
        Unreachable: its name cannot be looked up.
    """
    parts = httpx.URL(url)
    look_up = asyncio.get_running_loop().getaddrinfo
    try:
        found = await look_up(parts.raw_host.decode(), parts.port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    except (gaierror, UnicodeError) as error:
        raise Unreachable("the name of the web hook's host cannot be looked up") from error
    addresses = [str(one[4][0]) for one in found]
    are_public = all(map(is_public, addresses))
    if not (are_public or allow_private):
        raise Refused("the web hook leads to a private address")
    if are_public and parts.scheme == "http":
        raise Refused("the web hook is without TLS")
    return addresses[0]
