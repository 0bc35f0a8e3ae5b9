"""The vehicles that log in, in PostgreSQL and in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from car_protocol.logins import register as module
from car_protocol.logins.known import LIFETIME, KnownVehicles
from car_protocol.logins.register import Register
from fixtures.cars import add_vehicles
from fixtures.waiting import until
from ovms.db.engine import Pool


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def register(pool: Pool, clock: Clock, secret_keys: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Register]:
    """A register that knows DEMO, and looks all the time whether that is still so."""
    monkeypatch.setattr(module, "REFRESH_EVERY", 0.0)
    await add_vehicles(pool, secret_keys, "Demo")
    kept = Register(pool, KnownVehicles(10), clock)
    kept.keep("DEMO", (await kept.find(["DEMO"]))["DEMO"])
    running = asyncio.create_task(kept.run())
    yield kept
    running.cancel()


async def test_a_car_that_is_connected_for_weeks_stays_known(register: Register, pool: Pool, clock: Clock) -> None:
    await pool.execute("UPDATE vehicles SET password = 'new'")
    for days in range(1, 20):
        clock.now = days * LIFETIME / 2
        await until(lambda: register.known("DEMO") and not register._known.ageing(clock.now, 1))
    known = register.known("DEMO")
    assert known is not None
    assert known.password == b"new"


async def test_a_vehicle_that_is_removed_is_known_no_more(register: Register, pool: Pool, clock: Clock) -> None:
    await pool.execute("DELETE FROM vehicles")
    assert register.known("DEMO") is not None
    clock.now = LIFETIME / 2
    await until(lambda: register.known("DEMO") is None)


async def test_to_keep_what_is_known_is_not_to_notice_an_outage(register: Register, pool: Pool, clock: Clock) -> None:
    """Only who lets in asks on and on until it is over."""
    await pool.execute("DROP TABLE vehicles CASCADE")
    clock.now = LIFETIME / 2
    with pytest.raises(TimeoutError):
        await until(lambda: register.is_away, 0.2)
    with pytest.raises(module.AWAY):
        await register.find(["DEMO"])
    assert register.is_away
    assert register.known("DEMO") is not None
