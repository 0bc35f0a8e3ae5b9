"""Where the database of a reference server is."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ovms.errors import OvmsError

_PORT: Final = 3306
_OPTIONS: Final = frozenset({"unix_socket", "ssl_ca"})
_FORM: Final = "mysql://user:password@host/database, and after it ?unix_socket=PATH or ?ssl_ca=FILE where needed"


class AddressError(OvmsError):
    """An address has another form; the message does not hold it, as there is a password in it."""

    def __str__(self) -> str:
        return f"not of the form {_FORM}"


@dataclass(frozen=True, slots=True)
class Address:
    """A database and how to get into it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    unix_socket: str | None = None
    """A path: instead of host and port."""
    ssl_ca: str | None = None
    """A file of certificates: only a server that one of them vouches for is spoken to, and only over TLS."""


def read_address(url: str) -> Address:
    """Read `mysql://user:password@host:port/database`.

    Raises:
        AddressError: it has another form.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise AddressError from None
    database = unquote(parts.path.removeprefix("/"))
    host = parts.hostname or ("localhost" if "unix_socket" in options else "")
    if parts.scheme not in ("mysql", "mariadb") or not (host and database and parts.username) or options.keys() - _OPTIONS:
        raise AddressError
    return Address(host, port, unquote(parts.username), unquote(parts.password or ""), database, **options)
