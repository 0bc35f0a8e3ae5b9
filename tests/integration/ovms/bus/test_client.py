"""The client of Redis, on a real Valkey."""

import asyncio
from typing import Any

import pytest
import uvloop
from redis.exceptions import RedisError

from ovms.bus.client import open_redis


def test_a_transport_that_has_just_closed_is_a_lost_connection(redis_url: str) -> None:
    async def lose_and_write() -> None:
        client = open_redis(redis_url, socket_timeout=None)
        connection: Any = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(RedisError):
            await connection.send_packed_command(b"*1\r\n$4\r\nPING\r\n", check_health=False)
        assert await client.ping()
        await connection.disconnect(nowait=True)
        await client.aclose()

    uvloop.run(lose_and_write())
