"""Owners who ask for it are notified that their car is silent, and that it is back."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from car_protocol.notifications.error_codes import ErrorCodes
from car_protocol.notifications.notifier import Notifier
from car_protocol.notifications.silence import GRACE, SilenceNotices
from car_protocol.rooms.hub import Hub
from fakes.peers import car
from fakes.rooms import hub, vehicle
from fixtures.cars import add_vehicles
from ovms.db.engine import Pool
from ovms.db.silence import end_silence_notice, find_silence_notice, put_silence_notice
from ovms.db.writer import NotificationRow

SILENT, BACK = "A,Vehicle has been silent for 3 hours", "A,Vehicle is back"
NOW = 1_790_000_000.0


class Scene:
    """A replica's notices, with a clock that a test sets, and the keys of DEMO and Other-1."""

    def __init__(self, pool: Pool, keys: list[int]) -> None:
        self.pool, self.keys, self.hub = pool, keys, hub()
        self.now = 0.0
        self.pushes = 0
        self.notices = self.replica(self.hub)

    def replica(self, rooms: Hub) -> SilenceNotices:
        def make(put: Callable[[NotificationRow], None]) -> Notifier:
            return Notifier(put, lambda now: NOW + now, days=1, error_codes=ErrorCodes())

        def wake() -> None:
            self.pushes += 1

        return SilenceNotices(self.pool, rooms, make, pushes_wait=wake, repeat_after=0, monotonic=lambda: self.now)

    async def silent_for(self, hours: float) -> None:
        await self.pool.execute("UPDATE silence_notices SET heard_at = now() - make_interval(secs => $1)", hours * 3600)

    async def notified(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT data FROM history WHERE vehicle = $1 AND record_type = '*-Log-Notification'"
            " ORDER BY recorded_at, record_number",
            self.keys[0],
        )
        return [row["data"].decode() for row in rows]

    async def step(self) -> None:
        self.now += 60
        await self.notices.step()


@pytest.fixture
async def scene(pool: Pool, secret_keys: str) -> Scene:
    keys = await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    scene = Scene(pool, keys)
    await put_silence_notice(pool, keys[0], 3)
    scene.now = GRACE
    return scene


async def test_each_change_is_notified_once(scene: Scene) -> None:
    await scene.step()
    await scene.silent_for(2.9)
    await scene.step()
    assert await scene.notified() == []
    for _ in range(2):
        await scene.silent_for(3.1)
        await scene.step()
        await scene.step()
    assert await scene.notified() == [SILENT]
    assert scene.pushes == 1
    scene.hub.join_car(scene.hub.room(vehicle(scene.keys[0])), car(), 0, epoch=1)
    await scene.step()
    await scene.step()
    assert await scene.notified() == [SILENT, BACK]
    found = await find_silence_notice(scene.pool, scene.keys[0])
    assert found is not None
    assert not found.is_silent


async def test_subscriptions_get_it_pushed(scene: Scene) -> None:
    await scene.pool.execute(
        "INSERT INTO push_subscriptions (vehicle, app_id, push_type, key_type, key, endpoint)"
        " VALUES ($1, 'phone', 'webhook', '', 'https://a.example/', 'a.example')",
        scene.keys[0],
    )
    await scene.silent_for(4)
    await scene.step()
    assert await scene.pool.fetchval("SELECT message FROM push_outbox") == b"AVehicle has been silent for 3 hours"


async def test_a_car_that_connects_between_two_looks_is_back(scene: Scene) -> None:
    await scene.silent_for(4)
    await scene.step()
    await scene.pool.execute(
        "INSERT INTO messages (vehicle, code, data, received_at, epoch) VALUES ($1, 'S', '75', now() + interval '1 day', 1)",
        scene.keys[0],
    )
    await scene.step()
    assert await scene.notified() == [SILENT, BACK]


async def test_of_several_replicas_one_notifies(scene: Scene) -> None:
    others = [scene.replica(hub()) for _ in range(3)]
    await scene.silent_for(4)
    scene.now += GRACE
    await asyncio.gather(*(replica.step() for replica in (scene.notices, *others)))
    assert await scene.notified() == [SILENT]
    restarted = scene.replica(hub())
    scene.now += GRACE
    await restarted.step()
    assert await scene.notified() == [SILENT]


async def test_an_outage_of_the_server_is_no_silence(scene: Scene) -> None:
    started = scene.replica(scene.hub)
    await scene.silent_for(10)
    scene.now += GRACE - 1
    await started.step()
    assert await scene.notified() == []
    scene.hub.join_car(scene.hub.room(vehicle(scene.keys[0])), car(), 0, epoch=1)
    await started.step()
    scene.now += 1
    await started.step()
    assert await scene.notified() == []


async def test_a_change_and_its_notification_are_one_transaction(scene: Scene) -> None:
    await scene.silent_for(4)
    await scene.pool.execute("ALTER TABLE history RENAME TO hidden")
    with pytest.raises(asyncpg.UndefinedTableError):
        await scene.step()
    await scene.pool.execute("ALTER TABLE hidden RENAME TO history")
    await scene.step()
    assert await scene.notified() == [SILENT]


async def test_without_a_setting_nothing_is_sent(scene: Scene) -> None:
    assert await end_silence_notice(scene.pool, scene.keys[0])
    assert not await end_silence_notice(scene.pool, scene.keys[0])
    await scene.step()
    assert await scene.notified() == []
    assert await find_silence_notice(scene.pool, scene.keys[1]) is None
