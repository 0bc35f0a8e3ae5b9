"""The system's clock is corrected while cars are connected."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from car_protocol import wall_clock
from car_protocol.settings import Settings
from fixtures.cars import CarService, add_vehicles, car_service_on
from fixtures.waiting import until
from ovms.db.engine import Pool

HOUR = 3600.0


class Wrong:
    """A system's clock that is wrong by some seconds."""

    by = 0.0

    def __call__(self) -> float:
        return time.time() + self.by


@pytest.fixture
def wrong() -> Wrong:
    return Wrong()


@pytest.fixture
async def service(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CarService]:
    monkeypatch.setattr(wall_clock, "ADJUST_EVERY", 0.02)
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings), pool, system_clock=wrong) as service:
        yield service


@pytest.mark.parametrize("by", [-HOUR, HOUR], ids=["behind", "ahead"])
async def test_states_and_history_have_the_corrected_time(service: CarService, pool: Pool, wrong: Wrong, by: float) -> None:
    wrong.by = by
    recorder = service.running.server.recorder
    loop = service.running.server.loop
    await until(lambda: abs(recorder.wall(loop.time()) - time.time() - by) < 2, 5.0)
    car = await service.car()
    car.send(b"S70", b"D1")
    await car.drain()
    await service.written()
    wrong.by = 0.0
    await until(lambda: abs(recorder.wall(loop.time()) - time.time()) < 2, 5.0)
    car.send(b"S71", b"h1,0,*-LOG-Test,1,86400,x")
    await car.until_hears(b"h1")
    await service.written()
    age = "SELECT extract(epoch FROM now() - %s)::float8 FROM %s"
    assert await service.states() == {"S": b"71", "D": b"1"}
    assert abs(await pool.fetchval(f"{age} WHERE code = 'S'" % ("received_at", "messages"))) < 10
    assert abs(await pool.fetchval(f"{age} WHERE record_type = '*-LOG-Test'" % ("recorded_at", "history"))) < 10
    app = await service.app()
    told = await app.take(4)
    assert (told[0], sorted(told[1:3])) == (b"Z1", [b"D1", b"S71"])
    assert 0 <= int(told[3][1:]) < 10


async def test_a_clock_that_is_set_back_within_a_session_lets_the_newest_state_win(
    service: CarService, pool: Pool, wrong: Wrong
) -> None:
    app, car = await service.app(), await service.car()
    recorder, loop = service.running.server.recorder, service.running.server.loop
    for number in range(3):
        before = recorder.wall(loop.time())
        wrong.by -= HOUR
        await until(lambda before=before: recorder.wall(loop.time()) < before - HOUR / 2, 5.0)
        car.send(b"S%d" % number)
        await car.drain()
        await service.written()
        assert await service.states() == {"S": b"%d" % number}
    again = await service.car()  # its session follows those that the clock has numbered anew
    await car.closed()
    again.send(b"S9")
    await again.drain()
    await service.written()
    assert await service.states() == {"S": b"9"}
    assert b"S2" in await app.drain()
