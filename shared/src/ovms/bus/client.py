"""The way into Redis."""

from typing import Any

import redis.asyncio
from redis.exceptions import ConnectionError as LostConnection


class _Translating:
    """A connection that says of a transport that is closed what it says of any that is lost."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            # uvloop, of a write to a transport that has just been closed; redis-py expects an OSError.
            if "closed" not in str(error):
                raise
            raise LostConnection(str(error)) from error


def open_redis(url: str, **options: Any) -> redis.asyncio.Redis:
    """A client of the Redis at `url`, redis://, rediss:// or unix://; options as of redis-py's `ConnectionPool`."""
    pool: Any = redis.asyncio.ConnectionPool.from_url(url, **options)
    pool.connection_class = type("Connection", (_Translating, pool.connection_class), {})
    return redis.asyncio.Redis.from_pool(pool)
