"""The way into Redis."""

from typing import Any, TypeAlias

import redis.asyncio
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError

from ovms.bus.address import AddressError, Node, Sentinels, Server, read_address
from ovms.bus.errors import is_not_now
from ovms.bus.primary import PrimaryConnection, PrimaryPool, PrimaryTlsConnection, ask_sentinels

Client: TypeAlias = redis.asyncio.Redis


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


def open_redis(url: str, **options: Any) -> Client:
    """A client of the Redis at `url`; options as of redis-py's `ConnectionPool`.

    Raises:
        AddressError: `url` is none of those that `ovms.bus.address` describes.
    """
    match read_address(url):
        case Server(url):
            pool: Any = redis.asyncio.ConnectionPool.from_url(url, **options)
        case Sentinels(nodes, primary, given, credentials, over_tls):
            asked = ask_sentinels(nodes, **credentials, **_tls(given, over_tls))
            kind = PrimaryTlsConnection if over_tls else PrimaryConnection
            pool = PrimaryPool(primary, asked, connection_class=kind, **options, **given)  # type: ignore[no-untyped-call]
    pool.connection_class = _ours(pool.connection_class)
    return redis.asyncio.Redis.from_pool(pool)


def _tls(given: Any, over_tls: bool) -> dict[str, Any]:
    return {"ssl": True, **{name: value for name, value in given.items() if name.startswith("ssl_")}} if over_tls else {}


def _ours(kind: type) -> type:
    return type("Connection", (_Connection, kind), {})


def followed(client: Client) -> Node | None:
    """Return the primary that sentinels named last; None where the address of Redis never changes, or is not known yet."""
    pool = client.connection_pool
    return pool.master_address if isinstance(pool, PrimaryPool) else None


async def look_for_primary(client: Client) -> None:
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
