"""Peers that mean harm at a real process: they neither grow its memory past a bound nor slow a car that has logged in.

Nor does anything that they do close the connection of a car before its `MP-S`, which newer firmware would take for wrong
credentials: another car logs in while they are at it.
"""

import asyncio
import gc
import os
import statistics
import struct
import subprocess
import sys
import time
import urllib.request
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from car_protocol.connections.connection import Connection
from fixtures.cars import CarService, Peer, add_vehicles
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role
from ovms.local.ports import free_port

WELCOME_WITHIN = 3.0
"""Seconds, in place of 30."""
PATIENCE = 30.0
MEGABYTE = b"x" * 1_000_000
SILENT = 500

SLACK = 12 << 20
"""Bytes that the process may grow by without any reason."""
MOST_OF_A_STRANGER = 32 << 10
"""Bytes that a connection may take before its login."""
MOST_OF_A_READ = 768 << 10
"""Bytes that one read may take before it is looked at: asyncio reads 256 KiB, which wsproto has in two pieces more."""
MOST_OF_A_CAR = 4 << 20
"""Bytes that a car may take: a line of 2 MiB, and the same again while it grows."""
CARS = 5

USUAL_ROUND_TRIP = 0.05
LONGEST_ROUND_TRIP = 1.0
"""Seconds; this test and others work on the same cores."""


@dataclass
class Service:
    """A process of car-protocol."""

    process: subprocess.Popen[bytes]
    port: int
    health_port: int

    @property
    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the service has ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    async def login(self, role: Role, vehicle_id: str) -> Peer:
        """A peer that has been let in."""
        peer = Peer(role, vehicle_id)
        await peer.connect(self.port)
        await peer.welcomed()
        return peer


@contextmanager
def running(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "car_protocol"], env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
async def service(database_url: str, redis_url: str, pool: Pool, secret_keys: str, tmp_path: Path) -> AsyncIterator[Service]:
    await add_vehicles(pool, secret_keys, "DEMO", "LATE", *(f"CAR{number}" for number in range(CARS)))
    port, health_port = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OVMS_")} | {
        "OVMS_DATABASE_URL": database_url,
        "OVMS_REDIS_URL": redis_url,
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_V2_PORT": str(port),
        "OVMS_HEALTH_PORT": str(health_port),
        "OVMS_TIMEOUT_WELCOME": str(WELCOME_WITHIN),
    }
    with running(environment, tmp_path / "car-protocol.log") as process:
        started = Service(process, port, health_port)
        await until(started.is_ready, PATIENCE)
        yield started


class Stranger(asyncio.Protocol):
    """Somebody who does not log in."""

    def __init__(self) -> None:
        self.received = 0
        self.closed = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def strangers(service: Service, count: int) -> list[Stranger]:
    """That many of them, connected."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Stranger, "127.0.0.1", service.port))[1] for _ in range(count)]


async def all_closed(them: Sequence[Stranger]) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(one.closed.wait() for one in them))


@dataclass
class Watch:
    """What a car and the process felt."""

    service: Service
    car: Peer
    round_trips: list[float] = field(default_factory=list)
    memory: int = 0

    async def ping(self) -> None:
        began = time.perf_counter()
        self.car.send(b"A")
        await self.car.until_hears(b"a")
        self.round_trips.append(time.perf_counter() - began)
        self.memory = max(self.memory, self.service.memory)

    async def keep_pinging(self) -> None:
        while True:
            await self.ping()
            await asyncio.sleep(0.01)


@asynccontextmanager
async def unharmed(service: Service, *, growth: int) -> AsyncIterator[None]:
    """A car pings all the while, and another logs in; the process grows by no more than `growth` bytes, and some slack."""
    watch = Watch(service, await service.login(Role.CAR, "DEMO"))
    for _ in range(100):
        await watch.ping()
    before = watch.memory
    watch.round_trips.clear()
    pinging = asyncio.create_task(watch.keep_pinging())
    try:
        yield
        await service.login(Role.CAR, "LATE")
    finally:
        pinging.cancel()
        await asyncio.gather(pinging, return_exceptions=True)
    assert not watch.car.is_closed
    assert statistics.median(watch.round_trips) < USUAL_ROUND_TRIP
    assert max(watch.round_trips) < LONGEST_ROUND_TRIP
    assert watch.memory - before < growth + SLACK


# ---- a megabyte without a line end


def head(payload: int) -> bytes:
    """An upgrade to a WebSocket, and the head of a frame of that many bytes."""
    upgrade = (
        b"GET /apiv2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return upgrade + struct.pack("!BBQI", 0x81, 0xFF, payload, 0)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"MP-C 0 ", b"GET /apiv2 HTTP/1.1\r\n", head(len(MEGABYTE))],
    ids=["garbage", "welcome", "head", "frame"],
)
async def test_a_megabyte_without_a_line_end_before_login(service: Service, beginning: bytes) -> None:
    async with unharmed(service, growth=40 * MOST_OF_A_READ):
        for _ in range(5):
            them = await strangers(service, 40)
            for one in them:
                one.transport.write(beginning + MEGABYTE)
            await all_closed(them)
            assert beginning.startswith(b"GET") or not any(one.received for one in them)


async def test_a_megabyte_without_a_line_end_of_an_app(service: Service) -> None:
    apps = [await service.login(Role.APP, "DEMO") for _ in range(20)]
    async with unharmed(service, growth=20 * MOST_OF_A_READ):
        for app in apps:
            app.transport.write(MEGABYTE)
        for app in apps:
            await app.closed()


async def test_a_megabyte_without_a_line_end_of_a_car_is_kept_until_it_ends(service: Service) -> None:
    """A car may: the output of a command is one line. Two megabytes are too much of it, too."""
    cars = [await service.login(Role.CAR, f"CAR{number}") for number in range(CARS)]
    async with unharmed(service, growth=CARS * MOST_OF_A_CAR):
        for car in cars:
            car.transport.write(MEGABYTE)
            car.transport.write(MEGABYTE)
        for car in cars:
            car.transport.write(MEGABYTE)
            await car.closed()


# ---- a byte now and then


async def test_a_byte_now_and_then_keeps_nobody_longer(service: Service) -> None:
    async with unharmed(service, growth=100 * MOST_OF_A_STRANGER):
        them = await strangers(service, 100)
        began = time.monotonic()
        dripping = asyncio.create_task(drip(them))
        await all_closed(them)
        dripping.cancel()
    # The timers of the server turn once a second.
    assert WELCOME_WITHIN * 0.9 < time.monotonic() - began < WELCOME_WITHIN + 5
    assert not any(one.received for one in them)


async def drip(them: Sequence[Stranger]) -> None:
    """A byte each, thirty times as long as it takes to send a welcome so."""
    for byte in b"MP-C 0 " + b"x" * 1000:
        for one in them:
            one.transport.write(bytes([byte]))
        await asyncio.sleep(WELCOME_WITHIN / 30)


async def test_a_car_that_sends_byte_by_byte_is_heard(service: Service) -> None:
    car = await service.login(Role.CAR, "CAR0")
    car._session.send(b"A")
    async with unharmed(service, growth=0):
        for byte in car._session.data_to_send():
            car.transport.write(bytes([byte]))
            await asyncio.sleep(0.01)
        await car.until_hears(b"a")


# ---- silence


async def test_five_hundred_that_say_nothing(service: Service) -> None:
    async with unharmed(service, growth=SILENT * MOST_OF_A_STRANGER):
        them = await strangers(service, SILENT)
        assert not any(one.closed.is_set() for one in them)
        await service.login(Role.APP, "DEMO")
        await all_closed(them)
    assert not any(one.received for one in them)


# ---- what is left of those who have gone


ENDS = {
    "too long": b"x" * 3000,
    "no welcome": b"HELLO THERE\r\n",
    "no upgrade": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a head too long": b"GET /apiv2 HTTP/1.1\r\n" + b"x" * 5000,
    "a frame too long": head(100_000) + b"x" * 100_000,
    "a close": head(0)[:-14] + b"\x88\x80\0\0\0\0",
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Connection]]]:
    """The connections that are made, and no help for them from the collection of garbage, which is seldom in a service."""
    connections: list[weakref.ref[Connection]] = []
    connection_made = Connection.connection_made

    def noting(connection: Connection, transport: asyncio.BaseTransport) -> None:
        connections.append(weakref.ref(connection))
        connection_made(connection, transport)

    monkeypatch.setattr(Connection, "connection_made", noting)
    gc.disable()
    yield connections
    gc.enable()


@pytest.mark.parametrize("data", ENDS.values(), ids=ENDS)
async def test_nothing_is_left_of_a_stranger(car_service: CarService, made: list[weakref.ref[Connection]], data: bytes) -> None:
    _, stranger = await asyncio.get_running_loop().create_connection(Stranger, "127.0.0.1", car_service.port)
    stranger.transport.write(data)
    await all_closed([stranger])
    await until(lambda: made and all(connection() is None for connection in made), PATIENCE)


async def test_nothing_is_left_of_who_had_logged_in(car_service: CarService, made: list[weakref.ref[Connection]]) -> None:
    car = await car_service.car()
    car.transport.write(b"AAAA\r\n")
    await car.closed()
    app = await car_service.app()
    app.transport.write(MEGABYTE)
    await app.closed()
    wrong = await car_service.connect(Role.APP, "DEMO", b"WRONG")
    await wrong.closed()
    await until(lambda: len(made) == 3 and all(connection() is None for connection in made), PATIENCE)
