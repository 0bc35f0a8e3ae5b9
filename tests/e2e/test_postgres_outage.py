"""PostgreSQL is killed while cars send, and comes back: nothing that was acknowledged is lost, and no car is let go.

The outage lasts 20 s; `OVMS_TEST_OUTAGE` (seconds) makes it another.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from fixtures.cars import Peer, add_vehicles
from fixtures.waiting import until
from ovms.db.engine import Pool, open_pool
from ovms.db.migrate import upgrade
from ovms.identity import Role
from ovms.local.ports import free_port
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey

OUTAGE = float(os.environ.get("OVMS_TEST_OUTAGE", "20"))
RESEND_AFTER = min(10.0, OUTAGE / 2)
"""The firmware sends again after 10 s what was not acknowledged."""
CARS = 20
ROUND = 0.05
PATIENCE = 60.0


@dataclass
class Record:
    """A history record of a car, until it is acknowledged."""

    number: int
    made_at: float
    sent_at: float = 0.0
    times_sent: int = 0


@dataclass
class Driver:
    """A car that sends state all the time, and history as the firmware does."""

    vehicle_id: str
    peer: Peer
    newest: dict[str, bytes] = field(default_factory=dict)
    waiting: dict[int, Record] = field(default_factory=dict)
    acknowledged: Counter[int] = field(default_factory=Counter)
    times_sent: Counter[int] = field(default_factory=Counter)
    pongs: int = 0
    is_parking: bool = False
    _rounds: int = 0

    async def drive(self) -> None:
        """Send and listen until it parks and everything is acknowledged."""
        while not (self.is_parking and not self.waiting):
            if not self.is_parking:
                self._send_state()
                if self._rounds % 10 == 0:
                    self.waiting[self._rounds] = Record(self._rounds, time.monotonic())
            self._send_records()
            self.peer.send(b"A")
            await asyncio.sleep(ROUND)
            self._listen()

    def _send_state(self) -> None:
        self._rounds += 1
        for code in "SDL":
            data = f"{self._rounds},{code},{self.vehicle_id}".encode()
            self.newest[code] = data
            self.peer.send(code.encode() + data)

    def _send_records(self) -> None:
        now = time.monotonic()
        for record in self.waiting.values():
            if not record.times_sent or now - record.sent_at > RESEND_AFTER:
                record.sent_at = now
                record.times_sent += 1
                self.times_sent[record.number] += 1
                age = int(now - record.made_at)
                self.peer.send(b"h%d,-%d,*-LOG-Test,%d,86400,%d" % (record.number, age, record.number, record.number))

    def _listen(self) -> None:
        heard, self.peer.heard = self.peer.heard, []
        for message in heard:
            if message[:1] == b"h":
                number = int(message[1:])
                self.acknowledged[number] += 1
                self.waiting.pop(number, None)
            elif message == b"a":
                self.pongs += 1


@pytest.fixture
def postgres_of_its_own(tmp_path: Path) -> Iterator[Postgres]:
    """A server that keeps its promises through a crash."""
    server = Postgres(tmp_path / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey_of_its_own(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@dataclass
class Service:
    """A process of car-protocol."""

    process: subprocess.Popen[bytes]
    port: int
    health_port: int

    def is_alive(self) -> bool:
        """Its loop answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/livez", timeout=5) as answer:
            return bool(answer.status == 200)

    def is_ready(self) -> bool:
        """Both of its ports answer."""
        assert self.process.poll() is None, "the service has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
async def service(
    postgres_of_its_own: Postgres, valkey_of_its_own: Valkey, secret_keys: str, tmp_path: Path
) -> Iterator[Service]:
    await upgrade(postgres_of_its_own.url)
    port, health_port = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OVMS_")} | {
        "OVMS_DATABASE_URL": postgres_of_its_own.url,
        "OVMS_REDIS_URL": valkey_of_its_own.url,
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_V2_PORT": str(port),
        "OVMS_HEALTH_PORT": str(health_port),
    }
    with (tmp_path / "car-protocol.log").open("wb") as log:
        process = _start(environment, log)
    started = Service(process, port, health_port)
    try:
        await until(started.is_ready, PATIENCE)
        yield started
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "car_protocol"], env=environment, stdout=log, stderr=log)


async def stored_states(pool: Pool) -> dict[tuple[str, str], bytes]:
    rows = await pool.fetch("SELECT vehicle_id, code, data FROM messages JOIN vehicles ON vehicles.id = vehicle")
    return {(row["vehicle_id"], row["code"]): row["data"] for row in rows}


async def stored_records(pool: Pool) -> Counter[tuple[str, int]]:
    rows = await pool.fetch("SELECT vehicle_id, record_number FROM history JOIN vehicles ON vehicles.id = vehicle")
    return Counter((row["vehicle_id"], row["record_number"]) for row in rows)


def acknowledged(drivers: list[Driver]) -> int:
    return sum(len(driver.acknowledged) for driver in drivers)


@pytest.mark.timeout(OUTAGE + 3 * PATIENCE)
async def test_postgresql_dies_while_cars_send(service: Service, postgres_of_its_own: Postgres, secret_keys: str) -> None:
    names = [f"CAR{number}" for number in range(CARS)]
    async with await open_pool(postgres_of_its_own.url, size=1) as pool:
        await add_vehicles(pool, secret_keys, *names, "LATE")
    drivers = []
    for name in names:
        peer = Peer(Role.CAR, name)
        await peer.connect(service.port)
        await peer.welcomed()
        drivers.append(Driver(name, peer))
    driving = asyncio.gather(*(driver.drive() for driver in drivers))
    await until(lambda: acknowledged(drivers) >= 3 * CARS, PATIENCE)

    postgres_of_its_own.kill()
    ends_at = time.monotonic() + OUTAGE
    before, pongs = acknowledged(drivers), [driver.pongs for driver in drivers]
    late = Peer(Role.CAR, "LATE")
    await late.connect(service.port)
    await asyncio.sleep(max(0.0, ends_at - time.monotonic()))
    # What was committed before the end may still have been on its way; nothing more is acknowledged without a database.
    assert acknowledged(drivers) <= before + CARS
    assert all(driver.pongs > count for driver, count in zip(drivers, pongs, strict=True))
    assert not late.is_closed
    assert not late.is_welcome
    assert service.is_alive()
    postgres_of_its_own.start()

    during = acknowledged(drivers)
    await until(lambda: acknowledged(drivers) >= during + 3 * CARS, PATIENCE)
    await late.welcomed()
    for driver in drivers:
        driver.is_parking = True
    async with asyncio.timeout(PATIENCE):
        await driving

    assert [driver.vehicle_id for driver in drivers if driver.peer.is_closed] == []
    async with await open_pool(postgres_of_its_own.url, size=1) as pool:
        newest = {(driver.vehicle_id, code): data for driver in drivers for code, data in driver.newest.items()}
        async with asyncio.timeout(PATIENCE):
            while await stored_states(pool) != newest:
                pass
        records = await stored_records(pool)
    told = Counter((driver.vehicle_id, number) for driver in drivers for number in driver.acknowledged)
    assert records == told, "what is acknowledged is in the table, once"
    assert any(count > 1 for driver in drivers for count in driver.times_sent.values()), "some were sent again"
    assert all(driver.acknowledged[number] <= count for driver in drivers for number, count in driver.times_sent.items())
    for driver in drivers:
        driver.peer.close()
    late.close()
