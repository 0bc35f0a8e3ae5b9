"""PostgreSQL is away while cars send: none is let go, nothing that was acknowledged is lost, and soon after it is back all that
waited is written.

Every outage lasts 4 s; `OVMS_TEST_OUTAGE` (seconds) makes it another. Past 30 s statements in flight are given up.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from fixtures.cars import Peer
from fixtures.replicas import Rig, Store
from fixtures.waiting import until
from ovms.db.engine import Pool, open_pool
from ovms.identity import Role

OUTAGE = float(os.environ.get("OVMS_TEST_OUTAGE", "4"))
RESEND_AFTER = min(10.0, OUTAGE / 2)
"""The firmware sends again after 10 s what was not acknowledged."""
CARS = 20
ROUND = 0.05
PATIENCE = 60.0
RETURNED = 5.0
"""Seconds after its return until all that waited is written."""

OUTAGES: dict[str, tuple[Callable[[Store], None], Callable[[Store], None]]] = {
    "killed": (Store.kill, Store.start),
    "ended": (Store.stop, Store.start),
    "paused": (Store.pause, Store.resume),
}


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
    rounds: int = 0

    async def drive(self) -> None:
        """Send and listen until it parks and everything is acknowledged."""
        while not (self.is_parking and not self.waiting):
            if not self.is_parking:
                self._send_state()
                if self.rounds % 10 == 0:
                    self.waiting[self.rounds] = Record(self.rounds, time.monotonic())
            self._send_records()
            self.peer.send(b"A")
            await asyncio.sleep(ROUND)
            self._listen()

    def _send_state(self) -> None:
        self.rounds += 1
        for code in "SDL":
            data = f"{self.rounds},{code},{self.vehicle_id}".encode()
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


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    vehicles = [name for how in OUTAGES for name in (*names_of(how), f"{how}-late", f"{how}-known")]
    with Rig(replicas=1, gateways=0, owners={"demo": vehicles}) as made:
        yield made


def names_of(how: str) -> list[str]:
    return [f"{how}-{number}" for number in range(CARS)]


async def car(rig: Rig, vehicle_id: str) -> Peer:
    """One that has asked to be let in."""
    peer = Peer(Role.CAR, vehicle_id)
    await peer.connect(rig.replicas[0].port)
    return peer


async def driver(rig: Rig, vehicle_id: str) -> Driver:
    peer = await car(rig, vehicle_id)
    await peer.welcomed()
    return Driver(vehicle_id, peer)


async def stored_states(pool: Pool, how: str) -> dict[tuple[str, str], bytes]:
    rows = await pool.fetch(
        "SELECT vehicle_id, code, data FROM messages JOIN vehicles ON vehicles.id = vehicle WHERE vehicle_id LIKE $1",
        f"{how}-%",
    )
    return {(row["vehicle_id"], row["code"]): row["data"] for row in rows}


async def stored_records(pool: Pool, how: str) -> Counter[tuple[str, int]]:
    rows = await pool.fetch(
        "SELECT vehicle_id, record_number FROM history JOIN vehicles ON vehicles.id = vehicle "
        "WHERE vehicle_id LIKE $1 AND record_type = '*-LOG-Test'",
        f"{how}-%",
    )
    return Counter((row["vehicle_id"], row["record_number"]) for row in rows)


def acknowledged(drivers: list[Driver]) -> int:
    return sum(len(driver.acknowledged) for driver in drivers)


async def stay_away(rig: Rig, how: str, drivers: list[Driver]) -> Peer:
    """The outage itself; returns a car that waits to be let in."""
    go, _ = OUTAGES[how]
    await rig.aside(go, rig.postgres)
    ends_at = time.monotonic() + OUTAGE
    before, pongs = acknowledged(drivers), [driver.pongs for driver in drivers]
    late, known = await car(rig, f"{how}-late"), await car(rig, f"{how}-known")
    await known.welcomed()
    await asyncio.sleep(max(0.0, ends_at - time.monotonic()))
    # What was committed before the end may still have been on its way; nothing more is acknowledged without a database.
    assert acknowledged(drivers) <= before + CARS
    assert all(driver.pongs > count for driver, count in zip(drivers, pongs, strict=True))
    assert [late.is_closed, late.is_welcome, known.is_closed] == [False, False, False]
    known.close()
    return late


async def come_back(rig: Rig, how: str, drivers: list[Driver], late: Peer) -> None:
    """Its return: soon all is written that waited, and whoever waited is let in."""
    _, back = OUTAGES[how]
    await rig.aside(back, rig.postgres)
    began = time.monotonic()
    records = [(driver, number) for driver in drivers for number in driver.waiting]
    rounds = [(driver, driver.rounds) for driver in drivers]
    await until(lambda: not any(number in driver.waiting for driver, number in records), PATIENCE)
    await late.welcomed()
    async with await open_pool(rig.postgres.url, size=1) as pool, asyncio.timeout(PATIENCE):
        while True:
            stored = await stored_states(pool, how)
            if all(int(stored[driver.vehicle_id, "S"].split(b",")[0]) >= count for driver, count in rounds):
                break
    took = time.monotonic() - began
    print(f"{how}: all was written {took:.2f} s after its return")
    assert took < RETURNED


@pytest.mark.timeout(OUTAGE + 3 * PATIENCE)
@pytest.mark.parametrize("how", OUTAGES)
async def test_nothing_is_lost_and_nobody_is_let_go(rig: Rig, how: str) -> None:
    parked = await driver(rig, f"{how}-known")
    parked.peer.close()
    drivers = [await driver(rig, name) for name in names_of(how)]
    driving = asyncio.gather(*(driver.drive() for driver in drivers))
    await until(lambda: acknowledged(drivers) >= 3 * CARS, PATIENCE)

    late = await stay_away(rig, how, drivers)
    await come_back(rig, how, drivers, late)

    for driven in drivers:
        driven.is_parking = True
    async with asyncio.timeout(PATIENCE):
        await driving
    assert [driven.vehicle_id for driven in drivers if driven.peer.is_closed] == []
    await all_is_there(rig, how, drivers)
    assert any(count > 1 for driven in drivers for count in driven.times_sent.values()), "some were sent again"
    assert all(driven.acknowledged[number] <= count for driven in drivers for number, count in driven.times_sent.items())
    for peer in (late, *(driven.peer for driven in drivers)):
        peer.close()


async def all_is_there(rig: Rig, how: str, drivers: list[Driver]) -> None:
    """The tables hold what the cars sent last, and what was acknowledged to them, once."""
    newest = {(driven.vehicle_id, code): data for driven in drivers for code, data in driven.newest.items()}
    async with await open_pool(rig.postgres.url, size=1) as pool:
        async with asyncio.timeout(PATIENCE):
            while await stored_states(pool, how) != newest:
                pass
        told = Counter((driven.vehicle_id, number) for driven in drivers for number in driven.acknowledged)
        assert await stored_records(pool, how) == told
