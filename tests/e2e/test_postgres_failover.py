"""The server that takes writes is killed and its standby promoted: no car is let go, nothing that was acknowledged is lost, and
soon after the promotion everything goes on there.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from fixtures.cars import Peer
from fixtures.drivers import Driver, acknowledged, newest_of, stored_records, stored_states, told_of
from fixtures.outages import end_others
from fixtures.replicas import OWNER_PASSWORD, VEHICLE_PASSWORD, Store
from fixtures.standby import ALONE, PROMOTE, RELOAD, FailoverRig, execute
from fixtures.waiting import until, until_told
from ovms.admin.cli import main
from ovms.db.engine import Pool, open_pool
from ovms.identity import Role

CARS = [f"car-{number}" for number in range(10)]
LATE = "late"
RESEND_AFTER = 0.3
"""Sooner than the firmware, so that some records are on their way twice."""
PATIENCE = 30.0
CALL_EVERY = 0.05
RETURNED = 10.0
"""Seconds after the promotion until everything goes on."""

WAITS_FOR_STANDBY = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"


@dataclass
class Caller:
    """A program with a session, which calls again and again and notes what it is answered."""

    client: httpx.AsyncClient
    answers: list[tuple[int, str | None]] = field(default_factory=list)
    """Of each call the status, and when to come back."""

    async def call(self) -> None:
        while True:
            answer = await self.client.get("/api/vehicles")
            self.answers.append((answer.status_code, answer.headers.get("Retry-After")))
            await asyncio.sleep(CALL_EVERY)

    async def hears(self, status: int) -> None:
        """Wait for the answer to a call that is made from now on."""
        count = len(self.answers) + 1
        await until(lambda: status in [code for code, _ in self.answers[count:]], PATIENCE)


@pytest.fixture(scope="module")
def rig() -> Iterator[FailoverRig]:
    with FailoverRig(owners={"demo": [*CARS, LATE]}) as made:
        yield made


async def car(rig: FailoverRig, vehicle_id: str) -> Peer:
    """One that has asked to be let in."""
    peer = Peer(Role.CAR, vehicle_id, VEHICLE_PASSWORD)
    await peer.connect(rig.replicas[0].port)
    return peer


@asynccontextmanager
async def driving(rig: FailoverRig) -> AsyncIterator[list[Driver]]:
    """Cars that drive until they are parked and everything is acknowledged."""
    peers = [await car(rig, vehicle_id) for vehicle_id in CARS]
    for peer in peers:
        await peer.welcomed()
    drivers = [Driver(vehicle_id, peer, RESEND_AFTER) for vehicle_id, peer in zip(CARS, peers, strict=True)]
    driven = [asyncio.create_task(driver.drive()) for driver in drivers]
    try:
        yield drivers
        for driver in drivers:
            driver.is_parking = True
        await asyncio.wait_for(asyncio.gather(*driven), PATIENCE)
    finally:
        for task in driven:
            task.cancel()
        for peer in peers:
            peer.close()


@asynccontextmanager
async def calling(rig: FailoverRig) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(base_url=rig.gateways[0].url, timeout=PATIENCE) as client:
        answer = await client.get("/api/cookie", params={"username": "demo", "password": OWNER_PASSWORD})
        assert answer.status_code == 200
        caller = Caller(client)
        task = asyncio.create_task(caller.call())
        try:
            yield caller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def sent_again(driver: Driver) -> bool:
    """Whether a record of it has been on its way twice."""
    return any(record.times_sent > 1 for record in driver.waiting.values())


async def all_answered(drivers: list[Driver]) -> None:
    """What cars were sent until now they have heard: the answer to a ping comes after it."""
    pongs = [driver.pongs + 1 for driver in drivers]
    await until(lambda: all(driver.pongs > count for driver, count in zip(drivers, pongs, strict=True)), PATIENCE)


async def goes_on(pool: Pool, drivers: list[Driver]) -> None:
    """What cars have sent until now is written and acknowledged."""
    records = [(driver, number) for driver in drivers for number in driver.waiting]
    rounds = {driver.vehicle_id: driver.rounds for driver in drivers}
    await until(lambda: not any(number in driver.waiting for driver, number in records), PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while True:
            states = await stored_states(pool, "car-")
            if all(int(states[vehicle_id, "S"].split(b",")[0]) >= count for vehicle_id, count in rounds.items()):
                return


async def fail_over(rig: FailoverRig, standby: Store, pool: Pool, drivers: list[Driver], caller: Caller) -> None:
    """The end of one server and the promotion of the other, as an operator does it."""
    rig.postgres.kill()
    await caller.hears(503)
    late = await car(rig, LATE)
    await until(lambda: all(sent_again(driver) for driver in drivers), PATIENCE)
    await all_answered(drivers)
    before = acknowledged(drivers)

    began = time.monotonic()
    await execute(standby.url, PROMOTE)
    # It still wants everything on two servers and is alone: nothing is acknowledged until it is told that it is.
    await until_told(pool, WAITS_FOR_STANDBY, seconds=PATIENCE)
    await all_answered(drivers)
    assert acknowledged(drivers) == before
    await execute(standby.url, ALONE, RELOAD)

    await goes_on(pool, drivers)
    await late.welcomed()
    await caller.hears(200)
    took = time.monotonic() - began
    print(f"everything went on {took:.2f} s after the promotion")
    assert took < RETURNED
    late.close()


async def come_back(rig: FailoverRig, leader: Store, pool: Pool, drivers: list[Driver], caller: Caller) -> None:
    """The former server comes back as a standby, the first in the address: everybody stays with the other or finds it."""
    await rig.aside(rig.rejoin, leader)
    await end_others(pool)
    await goes_on(pool, drivers)
    await caller.hears(200)
    environment = {**os.environ, **rig.environment()}
    assert await rig.aside(main, ["migrate", "--check"], environment) == 0
    assert await rig.aside(main, ["token", "add", "demo", "--application", "test"], environment) == 0
    await goes_on(pool, drivers)


async def test_nothing_is_lost_and_nobody_is_let_go(rig: FailoverRig) -> None:
    standby = await rig.aside(rig.add_standby)
    async with await open_pool(standby.url, size=2) as pool, calling(rig) as caller:
        async with driving(rig) as drivers:
            await until(lambda: acknowledged(drivers) >= 2 * len(drivers), PATIENCE)
            await fail_over(rig, standby, pool, drivers, caller)
            await come_back(rig, standby, pool, drivers, caller)
        assert [driver.vehicle_id for driver in drivers if driver.peer.is_closed] == []
        await until_told(pool, "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn = sent_lsn")
        async with await open_pool(rig.postgres.url, size=1) as replica:
            for database in (pool, replica):
                async with asyncio.timeout(PATIENCE):
                    while await stored_states(database, "car-") != newest_of(drivers):
                        pass
                assert await stored_records(database, "car-") == told_of(drivers)
        assert {status for status, _ in caller.answers} == {200, 503}
        assert {after is None for status, after in caller.answers if status == 503} == {False}
