"""The address of PostgreSQL, as libpq writes it: with one host, or with several of which one takes writes. Pure.

What it is made of is left to asyncpg; here is found which hosts there are, and whether it is one at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ovms.errors import OvmsError

_FORM: Final = (
    "not of the form postgresql://user:password@host:port/database, with commas between several host:port; "
    "in a password @ is written %40, / %2F, ? %3F and # %23"
)
_HOST: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_LAST_PORT: Final = 65535

WRITABLE: Final = "read-write"
_ATTRS: Final = {True: (WRITABLE, "primary"), False: (WRITABLE, "primary", "any")}
"""What `target_session_attrs` may be where there are several hosts, and where there is one."""


class AddressError(OvmsError, ValueError):
    """An address has another form; the message holds no part of it, as there is a password in it."""


class Host(NamedTuple):
    """Where a server may be: a name, an IP address or the directory of a socket."""

    name: str
    port: int | None
    """None: PostgreSQL's own."""

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a database."""

    url: str = field(repr=False)
    hosts: tuple[Host, ...]
    """None: where PostgreSQL's own programs look."""
    session_attrs: str | None
    """What the address asks of a server (`target_session_attrs`); of several hosts it is always one that takes writes."""


def read_address(url: str) -> Address:
    """Read `postgresql://user:password@host:port,host:port/database?target_session_attrs=read-write`.

    Raises:
        AddressError: it has another form.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise AddressError(_FORM) from None
    is_misread = "#" in url or "@" in parts.path or parts.netloc.count("@") > 1
    if parts.scheme not in ("postgresql", "postgres") or is_misread:
        raise AddressError(_FORM)
    hosts = _hosts(parts.netloc.rpartition("@")[2], options)
    return Address(url, hosts, _session_attrs(options, has_several=len(hosts) > 1))


def _hosts(named: str, options: Mapping[str, str]) -> tuple[Host, ...]:
    named = named or options.get("host", "")
    hosts = [_host(host) for host in named.split(",")] if named else []
    ports = [_port(port) for port in options["port"].split(",")] if options.get("port") else [None]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise AddressError(f"{len(ports)} ports for {len(hosts)} hosts")
    return tuple(Host(host.name, host.port or port) for host, port in zip(hosts, ports, strict=True))


def _host(written: str) -> Host:
    if written.startswith("/"):
        return Host(written, None)
    if not (found := _HOST.fullmatch(written)):
        raise AddressError(_FORM)
    ip, name, port = found.groups()
    return Host(unquote(ip or name), None if port is None else _port(port))


def _port(written: str) -> int | None:
    if not written.isascii() or not written.isdigit() or not 0 < int(written) <= _LAST_PORT:
        raise AddressError(f"a port is a number from 1 to {_LAST_PORT}")
    return int(written)


def _session_attrs(options: Mapping[str, str], *, has_several: bool) -> str | None:
    allowed = _ATTRS[has_several]
    wanted = options.get("target_session_attrs", WRITABLE if has_several else None)
    if wanted is not None and wanted not in allowed:
        raise AddressError(
            f"target_session_attrs must be {', '.join(allowed[:-1])} or {allowed[-1]}: what is sent there is written"
        )
    return wanted
