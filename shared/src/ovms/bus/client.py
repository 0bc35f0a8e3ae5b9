"""The way into Redis."""

from typing import Any, Final

import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError

from ovms.bus.address import AddressError, Cluster, Node, Sentinels, Server, read_address
from ovms.bus.channels import REPLICAS
from ovms.bus.errors import is_not_now
from ovms.bus.primary import ClusterNodes, Knows, PrimaryConnection, PrimaryPool, PrimaryTlsConnection, ask_sentinels

_CREDENTIALS: Final = ("username", "password")
_OWN: Final = ("host", "port", "connection_pool")
"""What a connection is told that is not so of one to another node."""


class _Connection:
    """A connection that is lost where its server cannot serve now or is not the primary; it packs what it sends in C."""

    def pack_command(self, *words: Any) -> list[bytes]:
        # In C, as redis-py's synchronous client does it; its asynchronous one takes several times as long.
        packed: list[bytes] = HiredisRespSerializer().pack(*words)
        return packed

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            # uvloop, of a write to a transport that has just been closed; redis-py expects an OSError.
            if "closed" not in str(error):
                raise
            raise LostConnection(str(error)) from error

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except ResponseError as error:
            # Of a server that is no longer the primary the address leads to the new one, once it is opened again.
            if not is_not_now(error):
                raise
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise LostConnection(f"the server cannot serve now: {error}") from error


def open_redis(url: str, **options: Any) -> redis.asyncio.Redis:
    """A client of the Redis at `url`; options as of redis-py's `ConnectionPool`.

    Raises:
        AddressError: `url` is none of those that `ovms.bus.address` describes.
    """
    match read_address(url):
        case Server(url):
            pool: Any = redis.asyncio.ConnectionPool.from_url(url, **options)
        case Sentinels(nodes, primary, given, credentials, over_tls):
            asked = ask_sentinels(nodes, **credentials, **_tls(given, over_tls))
            pool = _primary_pool(primary, asked, over_tls, {**options, **given})
        case Cluster(nodes, given, over_tls):
            credentials = {name: given[name] for name in _CREDENTIALS if name in given}
            asked = ClusterNodes(nodes, **credentials, **_tls(given, over_tls))
            pool = _primary_pool(REPLICAS, asked, over_tls, {**options, **given})
    pool.connection_class = _ours(pool.connection_class)
    return redis.asyncio.Redis.from_pool(pool)


def _primary_pool(name: str, asked: Knows, over_tls: bool, options: dict[str, Any]) -> PrimaryPool:
    kind = PrimaryTlsConnection if over_tls else PrimaryConnection
    return PrimaryPool(name, asked, connection_class=kind, **options)  # type: ignore[no-untyped-call]


def _tls(given: Any, over_tls: bool) -> dict[str, Any]:
    return {"ssl": True, **{name: value for name, value in given.items() if name.startswith("ssl_")}} if over_tls else {}


def _ours(kind: type) -> type:
    return type("Connection", (_Connection, kind), {})


def open_node(home: redis.asyncio.Redis, host: str, port: int) -> redis.asyncio.Redis:
    """A client of another node of the cluster that `home` is of."""
    pool: Any = home.connection_pool
    kind = pool.connection_class
    if isinstance(pool, PrimaryPool):
        is_tls = issubclass(kind, redis.asyncio.SSLConnection)
        kind = _ours(redis.asyncio.SSLConnection if is_tls else redis.asyncio.Connection)
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in _OWN}
    return redis.asyncio.Redis.from_pool(redis.asyncio.ConnectionPool(connection_class=kind, host=host, port=port, **options))


def followed(client: redis.asyncio.Redis) -> tuple[Node, ...]:
    """The primary, where it may be another any time and is known."""
    pool = client.connection_pool
    return (pool.master_address,) if isinstance(pool, PrimaryPool) and pool.master_address else ()


async def look_for_primary(client: redis.asyncio.Redis) -> None:
    """Close all connections where they are to who is the primary no more; where that is not asked it does nothing.

    Raises:
        redis.exceptions.ConnectionError: nobody says who is.
    """
    if isinstance(client.connection_pool, PrimaryPool):
        await client.connection_pool.get_master_address()


def check_redis_url(url: str) -> None:
    """Look whether a client can be made of a URL, without any connection.

    Raises:
        AddressError: none can; the reason tells nothing of what is in the URL.
    """
    try:
        open_redis(url).connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except AddressError:
        raise
    except (RedisError, TypeError, ValueError):
        raise AddressError("an option after the ? is unknown, or has a value that it cannot have") from None
