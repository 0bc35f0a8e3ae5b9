"""A gateway that is told to stop answers whoever has asked."""

import asyncio
import signal
import socket

import httpx
import pytest

from fixtures.gateway import OWNERS, provision, send_message
from fixtures.processes import MakeGateway
from fixtures.replicas import HOST, Gateway
from fixtures.visitors import becomes
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.stopping import SAME_REQUEST

SIGN_IN = {"username": "demo", "password": OWNERS["demo"][0]}
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'messages'::regclass"


@pytest.fixture
async def gateway_process(make_gateway: MakeGateway, pool: Pool) -> Gateway:
    await provision(pool)
    await send_message(pool, "DEMO", "L22.28,114.16")
    gateway = make_gateway()
    gateway.start()
    return gateway


async def ended(gateway: Gateway) -> int:
    """Its exit status."""
    await until(lambda: not gateway.is_running, 30)
    return int(gateway.process.returncode)


def refuses(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=10.0).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_a_slow_request_is_answered_first(gateway_process: Gateway, pool: Pool) -> None:
    async with httpx.AsyncClient(base_url=gateway_process.url, timeout=20.0) as client:
        assert (await client.get("/api/cookie", params=SIGN_IN)).status_code == 200
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE messages")
            asking = asyncio.create_task(client.get("/api/location/DEMO"))
            await becomes(lambda: pool.fetchval(WAITING), 1, 5)
            gateway_process.process.terminate()
            await until(lambda: refuses(gateway_process.port))
            assert not asking.done()
            assert gateway_process.is_running
        answer = await asking
    assert (answer.status_code, answer.json()["latitude"]) == (200, "22.28")
    assert await ended(gateway_process) == 0


async def test_a_second_signal_ends_it_though_a_request_is_under_way(gateway_process: Gateway, pool: Pool) -> None:
    async with httpx.AsyncClient(base_url=gateway_process.url, timeout=20.0) as client:
        assert (await client.get("/api/cookie", params=SIGN_IN)).status_code == 200
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE messages")
            asking = asyncio.create_task(client.get("/api/location/DEMO"))
            await becomes(lambda: pool.fetchval(WAITING), 1, 5)
            gateway_process.process.terminate()
            async with asyncio.timeout(20):
                while gateway_process.is_running:
                    await asyncio.sleep(SAME_REQUEST / 4)
                    gateway_process.process.terminate()
            with pytest.raises(httpx.TransportError):
                await asking
    assert await ended(gateway_process) == -signal.SIGTERM


async def test_requests_that_have_just_come_are_answered_first(gateway_process: Gateway) -> None:
    gateway_process.pause()
    # The kernel connects them meanwhile, and keeps what they send.
    callers = [await asyncio.open_connection(HOST, gateway_process.port) for _ in range(20)]
    for _, writer in callers:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    gateway_process.process.terminate()
    gateway_process.resume()
    for reader, writer in callers:
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
    assert await ended(gateway_process) == 0
