"""Slow readers, many connections, and the end of the service."""

import asyncio
import socket
from typing import Any

import pytest

from car_protocol.bootstrap import serving
from car_protocol.connections.listener import Listener
from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, Peer, add_vehicles, car_service_on
from fixtures.processes import MakeReplica
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role
from ovms.local.ports import free_port


@pytest.fixture
async def vehicles(pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")


@pytest.mark.usefixtures("vehicles")
async def test_a_reader_that_does_not_read_is_closed_and_the_others_go_on(car_settings: dict[str, Any], pool: Pool) -> None:
    async with car_service_on(Settings(**car_settings, write_buffer=4096), pool) as service:
        car, app, slow = await service.scene()
        slow.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.transport.pause_reading()
        message, closed = b"V" + b"x" * 50_000, service.running.server.counters.closed
        rounds = 0
        while not closed["SlowReader"]:
            rounds += 1
            assert rounds < 2000
            car.send(message)
            await app.until_hears(b"T0")
        app.heard.clear()
        await until(
            lambda: service.running.server.hub.room is not None and len(service.running.server.connections) == 2, DEADLINE
        )
        car.send(b"S1")
        await app.until_hears(b"S1")
        assert not car.is_closed


@pytest.mark.usefixtures("vehicles")
async def test_connections_of_one_address_beyond_the_bound_wait_and_then_come_in(
    car_settings: dict[str, Any], pool: Pool
) -> None:
    async with car_service_on(Settings(**car_settings, logins_per_address=2), pool) as service:
        idle = [await service.connect(Role.CAR, "DEMO", introduce=False) for _ in range(2)]
        await until(lambda: len(service.running.server.connections) == 2, DEADLINE)
        waiting = [await service.connect(Role.APP, "DEMO") for _ in range(3)]
        await until(lambda: len(service.running.server.connections) == 5, DEADLINE)
        assert service.running.server.gate.inside == 2
        assert not any(peer.received or peer.is_closed for peer in waiting)
        idle[0].close()
        for peer in waiting:
            await peer.hears(b"Z0", b"T3020399")
        assert not idle[1].is_closed


@pytest.mark.usefixtures("vehicles")
async def test_a_process_with_its_own_loop_keeps_the_bound_as_well(make_replica: MakeReplica) -> None:
    replica = make_replica(OVMS_LOGINS_PER_ADDRESS=1)
    replica.start()
    peers = [Peer(Role.APP, "DEMO") for _ in range(20)]
    replica.pause()
    for peer in peers:  # the kernel connects them meanwhile: to the process they come all at once
        await peer.connect(replica.port)
    replica.resume()
    for peer in peers:
        await peer.welcomed()
        peer.close()
    assert replica.is_ready()


@pytest.mark.usefixtures("vehicles")
async def test_past_the_most_connections_the_port_is_closed_until_some_have_gone(
    car_settings: dict[str, Any], pool: Pool
) -> None:
    settings = Settings(**car_settings | {"v2_port": free_port(), "connections": 3})
    async with car_service_on(settings, pool) as service:
        car, app, batch = await service.scene()
        async with asyncio.timeout(DEADLINE):
            while await _takes_connections(settings.v2_port):
                pass
        car.send(b"S1")
        await app.hears(b"S1", b"T0")
        app.close()
        batch.close()
        async with asyncio.timeout(DEADLINE):
            while not await _takes_connections(settings.v2_port):
                pass
        assert await service.connect(Role.APP, "DEMO") is not None
        await service.peers[-1].hears(b"Z1", b"S1", b"T*")
        assert not car.is_closed


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


@pytest.mark.usefixtures("vehicles")
async def test_a_service_that_stops_writes_all_that_waits(car_settings: dict[str, Any], pool: Pool) -> None:
    async with car_service_on(Settings(**car_settings, state_tick=3600), pool) as service:
        car, app = await service.car(), await service.app()
        await app.hears(b"Z1", b"T3020399")
        car.send(b"S1", b"D2", b"S3", b"h17,0,*-LOG-Trip,5,86400,data", b"H*-LOG-Grid,1,86400,data")
        await car.drain()
        assert await service.states() == {}
    await car.closed()
    await app.closed()
    assert car.heard == [b"h17"]
    assert await service.states() == {"S": b"3", "D": b"2"}
    assert sorted(await service.history()) == [("*-LOG-Grid", 1, b"data"), ("*-LOG-Trip", 5, b"data")]


@pytest.mark.usefixtures("vehicles")
async def test_a_service_that_stops_finishes_the_logins_in_flight(car_settings: dict[str, Any], pool: Pool) -> None:
    async with car_service_on(Settings(**car_settings), pool) as service:
        peers = [await service.connect(Role.APP, "DEMO") for _ in range(20)]
        await until(lambda: service.running.server.desk.waiting, DEADLINE)
    for peer in peers:
        await peer.closed()
    assert {peer.is_welcome for peer in peers if peer.received} == {True}
    assert any(peer.is_welcome for peer in peers)


@pytest.mark.usefixtures("vehicles")
async def test_the_internal_port_tells_of_both_servers(car_settings: dict[str, Any], pool: Pool) -> None:
    settings = Settings(**car_settings)
    async with car_service_on(settings, pool) as service:
        await service.car()
        assert await _get(settings.health_port, "/readyz") == b'{"port": true, "postgresql": true, "redis": true}\n'
        metrics = await _get(settings.health_port, "/metrics")
        assert b"ovms_connections 1.0" in metrics
        assert b'ovms_logins_total{result="accepted"} 1.0' in metrics


async def test_it_is_not_ready_before_cars_can_come(car_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, may_open = Settings(**car_settings), asyncio.Event()
    open_listener = Listener.open

    async def open_later(listener: Listener) -> None:
        await may_open.wait()
        await open_listener(listener)

    monkeypatch.setattr(Listener, "open", open_later)
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(settings):
            await stop.wait()

    task = asyncio.create_task(serve())
    try:
        async with asyncio.timeout(DEADLINE):
            while not await _takes_connections(settings.health_port):
                pass
        answer = await _get(settings.health_port, "/readyz")
    finally:
        may_open.set()
        stop.set()
        await task
    assert b"false" in answer


async def _get(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE):
        answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]
