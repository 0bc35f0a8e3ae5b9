"""PostgreSQL is away while cars send: none is let go, nothing that was acknowledged is lost, and soon after it is back all that
waited is written.

Every outage lasts 4 s; `OVMS_TEST_OUTAGE` (seconds) makes it another. Past 30 s statements in flight are given up.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator

import pytest

from fixtures.cars import Peer
from fixtures.drivers import Driver, acknowledged, newest_of, stored_records, stored_states, told_of
from fixtures.replicas import Rig, Store
from fixtures.waiting import until
from ovms.db.engine import open_pool
from ovms.identity import Role

OUTAGE = float(os.environ.get("OVMS_TEST_OUTAGE", "4"))
RESEND_AFTER = min(10.0, OUTAGE / 2)
"""The firmware sends again after 10 s what was not acknowledged."""
CARS = 20
PATIENCE = 60.0
RETURNED = 5.0
"""Seconds after its return until all that waited is written."""

OUTAGES: dict[str, tuple[Callable[[Store], None], Callable[[Store], None]]] = {
    "killed": (Store.kill, Store.start),
    "ended": (Store.stop, Store.start),
    "paused": (Store.pause, Store.resume),
}


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
    return Driver(vehicle_id, peer, RESEND_AFTER)


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
            stored = await stored_states(pool, f"{how}-")
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
    async with await open_pool(rig.postgres.url, size=1) as pool:
        async with asyncio.timeout(PATIENCE):
            while await stored_states(pool, f"{how}-") != newest_of(drivers):
                pass
        assert await stored_records(pool, f"{how}-") == told_of(drivers)
