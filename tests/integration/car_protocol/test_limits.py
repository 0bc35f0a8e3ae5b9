"""Slow readers, many connections, and the end of the service."""

import asyncio
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from car_protocol.bootstrap import serving
from car_protocol.connections.listener import Listener
from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, Peer, add_vehicles, car_service_on
from fixtures.processes import MakeReplica
from fixtures.replicas import Replica
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role


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


LIMIT, SHARE = 16, 4


async def _stranger(port: int, address: str) -> asyncio.StreamWriter:
    """A connection from an address of this machine that says nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    return writer


async def _app_from(address: str, port: int) -> Peer:
    """An app that has connected from an address of this machine and sent its welcome."""
    app = Peer(Role.APP, "DEMO")
    await asyncio.get_running_loop().create_connection(lambda: app, "127.0.0.1", port, local_addr=(address, 0))
    app.introduce()
    return app


@pytest.mark.usefixtures("vehicles")
async def test_past_the_most_connections_peers_wait_and_none_is_closed(car_settings: dict[str, Any], pool: Pool) -> None:
    async with car_service_on(Settings(**car_settings, connections=LIMIT), pool) as service:
        server, listener = service.running.server, service.running.listener
        strangers = [await _stranger(service.port, f"127.0.{1 + number // SHARE}.1") for number in range(LIMIT)]
        await until(lambda: not listener.is_open, DEADLINE)
        assert len(server.connections) == LIMIT
        apps = [await _app_from("127.0.9.1", service.port) for _ in range(3)]
        assert len(server.connections) == LIMIT
        assert not any(app.received or app.is_closed for app in apps)
        for stranger in strangers:
            stranger.close()
        for app in apps:
            await app.welcomed()
        assert listener.is_open


@pytest.mark.usefixtures("vehicles")
async def test_one_network_cannot_keep_peers_of_others_out(car_settings: dict[str, Any], pool: Pool) -> None:
    async with car_service_on(Settings(**car_settings, connections=LIMIT), pool) as service:
        server = service.running.server
        strangers = [await _stranger(service.port, f"127.0.1.{number}") for number in range(1, SHARE + 1)]
        await until(lambda: server.shares.full, DEADLINE)
        one_more = asyncio.create_task(_app_from("127.0.1.99", service.port))
        apps = [await _app_from("127.0.2.1", service.port) for _ in range(LIMIT - SHARE - 1)]
        for app in apps:
            await app.welcomed()
        assert not one_more.done()
        for stranger in strangers:
            stranger.close()
        app = await one_more  # TCP has tried again
        await app.welcomed()
        assert not server.shares.full


@pytest.mark.usefixtures("vehicles")
async def test_a_process_out_of_files_closes_nobody(make_replica: MakeReplica) -> None:
    replica = make_replica(OVMS_CONNECTIONS=1000)
    replica.start()
    _leave_files(replica, 3)
    strangers = [await _stranger(replica.port, f"127.0.{number}.1") for number in range(1, 9)]
    app = await _app_from("127.0.99.1", replica.port)
    await until(lambda: "no file for a new connection" in replica.log, DEADLINE)
    for stranger in strangers:
        stranger.close()
    await app.welcomed()
    app.close()


async def test_a_low_limit_of_open_files_is_raised_at_start(make_replica: MakeReplica) -> None:
    replica = make_replica(OVMS_CONNECTIONS=1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))  # what the process inherits
    try:
        replica.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(replica.pid, resource.RLIMIT_NOFILE)[0] >= 1000


def _leave_files(replica: Replica, count: int) -> None:
    """Let a process open so many files and no more."""
    used = len(list(Path(f"/proc/{replica.pid}/fd").iterdir()))
    resource.prlimit(replica.pid, resource.RLIMIT_NOFILE, (used + count, used + count))


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
