"""A Redis that answers, and cannot serve now: callers receive 503 with Retry-After, and readiness reports it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from fixtures.gateway import Gateway, token_header

Fault = Callable[[redis.asyncio.Redis], Awaitable[object]]


async def full(client: redis.asyncio.Redis) -> None:
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", "1mb")


async def replica(client: redis.asyncio.Redis) -> None:
    await client.replicaof("127.0.0.1", 1)


async def without_replicas(client: redis.asyncio.Redis) -> None:
    await client.config_set("min-replicas-to-write", 1)


async def with_too_many_clients(client: redis.asyncio.Redis) -> None:
    await client.config_set("maxclients", 1)
    await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@asynccontextmanager
async def broken(gateway: Gateway, fault: Fault) -> AsyncIterator[None]:
    async with gateway.redis.client() as client:  # one connection, which a limit of clients lets be
        limit = (await client.config_get("maxclients"))["maxclients"]
        await fault(client)
        try:
            yield
        finally:
            await client.replicaof("NO", "ONE")
            for name, value in (("maxmemory", 0), ("min-replicas-to-write", 0), ("maxclients", limit)):
                await client.config_set(name, value)


@pytest.mark.parametrize("fault", [full, replica, without_replicas, with_too_many_clients])
async def test_a_redis_that_cannot_serve_is_unavailable(gateway: Gateway, fault: Fault) -> None:
    header = await token_header(gateway, "*")
    async with gateway.client(headers=header) as client:
        assert (await client.get("/readyz")).status_code == 200
        async with broken(gateway, fault):
            for method, path in (("GET", "/api/cookie"), ("GET", "/api/vehicle/DEMO")):
                answer = await client.request(method, path)
                assert (answer.status_code, answer.text) == (503, "Service unavailable\n"), path
                assert int(answer.headers["retry-after"]) > 0
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()) == (503, {"postgresql": "ok", "redis": "unavailable"})
        assert (await client.get("/api/cookie")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    logged = gateway.log.getvalue()
    assert b"Traceback" not in logged
    assert b'"status":500' not in logged
    assert logged.count(b'"effect":"requests are answered 503"') == 1
