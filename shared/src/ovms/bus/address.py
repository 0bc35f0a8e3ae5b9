"""Where Redis is, as `OVMS_REDIS_URL` says it. Pure.

| URL | Redis |
|---|---|
| `redis://…`, `unix://…` | one server |
| `redis+sentinel://host:26379,host:26379/mymaster` | the primary of this name that the sentinels at these addresses tell of |

`rediss` in place of `redis`: over TLS, sentinels too. User, password and redis-py's options (`?db=1&ssl_ca_certs=…`) are for
Redis; `sentinel_username` and `sentinel_password` are for sentinels, which are asked without where they are not given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url

Node: TypeAlias = tuple[str, int]
"""Host and port."""

SENTINEL_PORT: Final = 26379
REDIS_PORT: Final = 6379
MOST_ADDRESSES: Final = 100
_SCHEMES: Final = "redis, rediss, unix, redis+sentinel or rediss+sentinel"
_OF_SENTINELS: Final = {"sentinel_username": "username", "sentinel_password": "password"}


class AddressError(ValueError):
    """A URL says of no Redis where it is; never repeats any of it, since there may be a password in it."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server, by a URL that redis-py reads."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """They know who is the primary."""

    nodes: tuple[Node, ...]
    primary: str
    """Its name."""
    options: Mapping[str, Any] = field(repr=False)
    """Of a connection to the primary, as redis-py calls them."""
    credentials: Mapping[str, str] = field(repr=False)
    """For the sentinels: username and password, or none."""
    over_tls: bool


Address: TypeAlias = Server | Sentinels


def read_address(url: str) -> Address:
    """Read what a URL says.

    Raises:
        AddressError: it says nothing that could be meant.
    """
    try:
        parsed = urlsplit(url)
        scheme, _, kind = parsed.scheme.partition("+")
        if kind == "sentinel" and scheme in ("redis", "rediss"):
            return _sentinels(parsed, scheme)
        if kind or scheme not in ("redis", "rediss", "unix"):
            raise AddressError(f"the URL must begin with {_SCHEMES}, then ://")
        if "," in parsed.netloc.rpartition("@")[2]:
            raise AddressError("several addresses need redis+sentinel://")
        parse_url(url)
    except AddressError:
        raise
    except ValueError:
        # urllib and redis-py repeat what they cannot read.
        raise AddressError(
            "it cannot be read: ports and options must be such, and what is special in user and password percent-encoded"
        ) from None
    return Server(url)


def hosts(url: str) -> str:
    """Return where a URL leads to, host:port with commas between several, without credentials and options.

    Raises:
        AddressError: it says nothing that could be meant.
    """
    match read_address(url):
        case Sentinels(nodes, primary, _, _, _):
            return f"{_written(nodes)}/{primary}"
        case Server(url):
            options = parse_url(url)
            path: str | None = options.get("path")
            return path or _written([(options.get("host", "localhost"), options.get("port", REDIS_PORT))])


def _written(nodes: Sequence[Node]) -> str:
    return ",".join(f"{host}:{port}" for host, port in nodes)


def _sentinels(parsed: SplitResult, scheme: str) -> Sentinels:
    primary = parsed.path.strip("/")
    if not primary or "/" in primary:
        raise AddressError("redis+sentinel:// ends in the name of a primary: redis+sentinel://host:26379,host:26379/mymaster")
    queried = parse_qsl(parsed.query)
    credentials = {_OF_SENTINELS[name]: value for name, value in queried if name in _OF_SENTINELS}
    options = _options(parsed, scheme, [(name, value) for name, value in queried if name not in _OF_SENTINELS])
    return Sentinels(_sentinel_nodes(parsed), primary, options, credentials, scheme == "rediss")


def _sentinel_nodes(parsed: SplitResult) -> tuple[Node, ...]:
    addresses = parsed.netloc.rpartition("@")[2].split(",")
    if len(addresses) > MOST_ADDRESSES:
        raise AddressError(f"there are more than {MOST_ADDRESSES} addresses")
    nodes = [urlsplit(f"//{address}") for address in addresses]
    if not all(node.hostname for node in nodes):
        raise AddressError("an address has no host: it is host:port, with commas between several")
    return tuple((node.hostname or "", node.port or SENTINEL_PORT) for node in nodes)


def _options(parsed: SplitResult, scheme: str, queried: list[tuple[str, str]]) -> Mapping[str, Any]:
    """User, password and what is queried, as redis-py reads them of one server's URL."""
    user = parsed.netloc.rpartition("@")[0]
    options: dict[str, Any] = {**parse_url(f"{scheme}://{user and user + '@'}-/?{urlencode(queried)}")}
    return {name: value for name, value in options.items() if name not in ("host", "port", "connection_class")}
