"""The address of a request: that of the connection, or the one that a trusted proxy names. Pure."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Network = IPv4Network | IPv6Network

MOST_REPORTED: Final = 32
"""Untrusted peers that are reported by one process."""


def read_networks(setting: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, or addresses, with commas between.

    Raises:
        ValueError: one is neither.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in setting.split(",") if part.strip())


class Proxies:
    """The proxies whose X-Forwarded-For is believed.

    Args:
        report: takes an untrusted peer that sends the header, once. A public address is not named: it may be a person's.
    """

    def __init__(self, trusted: tuple[Network, ...], report: Callable[[str], None] | None = None) -> None:
        self._trusted = trusted
        self._report = report
        self._reported: set[str] = set()

    def address_of(self, scope: Mapping[str, Any]) -> str:
        """The address of who sends a request: behind proxies the right-most of X-Forwarded-For that is none of them.

        What stands left of that is the sender's own word.
        """
        address = str((scope.get("client") or ("",))[0])
        if not self.trusts(address):
            self._check_untrusted(address, scope)
            return address
        hops = _hops(scope)
        while self.trusts(address) and (hop := next(hops, None)) is not None:
            address = hop
        return address

    def is_over_tls(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a request came over TLS, to this server or to a trusted proxy before it."""
        if scope["scheme"] == "https" or not self._trusted or not self.trusts(str((scope.get("client") or ("",))[0])):
            return bool(scope["scheme"] == "https")
        return (b"x-forwarded-proto", b"https") in scope["headers"]

    def _check_untrusted(self, address: str, scope: Mapping[str, Any]) -> None:
        """Report a peer that sends X-Forwarded-For: all callers behind a proxy that is not trusted have its address."""
        if self._report is None or not any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            return
        found = _read(address)
        peer = str(found) if found is not None and found.is_private else "a public address"
        if peer not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add(peer)
            self._report(peer)

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        found = _read(address)
        return found is not None and any(found in network for network in self._trusted)


def _hops(scope: Mapping[str, Any]) -> Iterator[str]:
    """The addresses of X-Forwarded-For, the last first, up to one that is none."""
    named = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for hop in reversed(b",".join(named).decode("latin-1").split(",")):
        if (found := _read(hop.strip())) is None:
            return
        yield str(found)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, which some proxies write with a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
