"""Positions and states that the service keeps beside the newest ones, as a real car sends them."""

import base64
from typing import Any

import pytest

from fixtures.cars import CarService
from fixtures.waiting import until_told
from ovms.db.engine import Pool

INTERVAL = 0.02

_SAMPLES = "SELECT code, data, expires_at - recorded_at AS kept_for FROM samples ORDER BY recorded_at, code"


@pytest.fixture
def car_settings(car_settings: dict[str, Any]) -> dict[str, Any]:
    return {**car_settings, "track_days": 2, "track_interval": INTERVAL}


def position(number: int) -> bytes:
    return b"L47.%06d,8.5,90,408,1,1,50" % (number * 1000)


async def samples(pool: Pool) -> list[tuple[str, bytes]]:
    return [(row["code"], row["data"]) for row in await pool.fetch(_SAMPLES)]


async def test_a_drive_leaves_a_track(car_service: CarService, pool: Pool) -> None:
    car, app, _ = await car_service.scene()
    sent = []
    while len(await samples(pool)) < 4:
        sent.append(position(len(sent)))
        car.send(sent[-1], b"S80,K", b"D1")
        await app.until_hears(sent[-1])
    found = await samples(pool)
    positions = [data for code, data in found if code == "L"]
    assert positions[0] == sent[0][1:]
    assert positions == sorted(positions)
    assert set(positions) <= {message[1:] for message in sent}
    assert [data for code, data in found if code == "S"] == [b"80,K"]
    assert {row["kept_for"].days for row in await pool.fetch(_SAMPLES)} == {2}
    metrics = car_service.running.server.recorder
    assert metrics.samples_written >= len(found)


async def test_nothing_sealed_and_nothing_without_a_fix_is_kept(car_service: CarService, pool: Pool) -> None:
    car = await car_service.car()
    sealed = base64.b64encode(b"nobody knows where")
    car.send(b"ETkey", b"EML" + sealed, b"EMS" + sealed, b"L0,0,0,0,0,0,0")
    car.send(b"S80,K")
    await until_told(pool, "SELECT count(*) > 0 FROM samples")
    assert await samples(pool) == [("S", b"80,K")]


async def test_a_doubled_comma_is_mended_first(car_service: CarService, pool: Pool) -> None:
    car = await car_service.car()
    car.send(b"S75,K,0,0,charging,performance,,280,251")
    await until_told(pool, "SELECT count(*) > 0 FROM samples")
    assert await samples(pool) == [("S", b"75,K,0,0,charging,performance,280,251")]
