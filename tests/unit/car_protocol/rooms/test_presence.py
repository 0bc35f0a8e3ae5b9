"""What keeps Redis told, with a Redis in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from car_protocol.rooms import presence as module
from car_protocol.rooms.hub import Hub, Room
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.presence import PresenceKeeper
from fakes.peers import car
from fakes.rooms import publish_head, vehicle
from fixtures.waiting import until
from ovms.bus.presence import NOBODY, REPLICA_LEASE, Connected
from ovms.identity import VehicleName


class FakeRedis:
    """Runs no script."""

    connection_pool = None

    def register_script(self, script: str) -> None:
        return None


async def take_name(name: str) -> None:
    """It is received at once."""


def keeper_of(hub: Hub, lease: Lease) -> PresenceKeeper:
    return PresenceKeeper(cast("Any", FakeRedis()), hub, lease, new_name=lambda: "replica", take_name=take_name)


class QuickPresence:
    """Notes what is announced."""

    def __init__(self) -> None:
        self.announcements: list[Mapping[VehicleName, Connected]] = []
        self.noted: list[VehicleName] = []
        self.held: dict[VehicleName, Connected] = {}
        self.has_lease = False

    async def begin_replica(self, replica: str) -> None:
        self.has_lease = True

    async def renew_replica(self, replica: str) -> bool:
        return True

    async def ended_replicas(self) -> list[str]:
        return []

    async def vehicles_of(self, replica: str) -> list[VehicleName]:
        return self.noted

    async def announce(self, replica: str, connected: Mapping[VehicleName, Connected], *, give_up_at: float) -> None:
        self.announcements.append(connected)
        self.held |= connected

    async def announced(self, replica: str, vehicles: Sequence[VehicleName]) -> list[Connected]:
        return [self.held.get(vehicle, NOBODY) for vehicle in vehicles]


class FakePresence:
    """Is in the middle of an announcement for as long as a test wants."""

    def __init__(self) -> None:
        self.announcements: list[Mapping[VehicleName, Connected]] = []
        self.is_announcing = False

    async def begin_replica(self, replica: str) -> None:
        """It has a lease."""

    async def ended_replicas(self) -> list[str]:
        return []

    async def vehicles_of(self, replica: str) -> list[VehicleName]:
        return []

    async def announced(self, replica: str, vehicles: Sequence[VehicleName]) -> list[Connected]:
        return [NOBODY for _ in vehicles]

    async def announce(self, replica: str, connected: Mapping[VehicleName, Connected], *, give_up_at: float) -> None:
        self.is_announcing = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # What `asyncio.wait_for` of Python 3.11 makes of a cancellation that comes as what it waits for is done;
            # redis-py has one around every write.
            self.announcements.append(connected)


async def test_it_stops_also_where_redis_py_swallows_the_cancellation() -> None:
    rooms: list[Room] = []
    hub = Hub(publish_head, rooms.append)
    keeper = keeper_of(hub, Lease())
    presence = keeper._presence = cast("Any", FakePresence())
    before = asyncio.all_tasks()
    task = asyncio.create_task(keeper.run())
    hub.join_car(hub.room(vehicle()), car(), 0, epoch=1)
    await until(lambda: presence.is_announcing)
    task.cancel()
    _, still_running = await asyncio.wait([task], timeout=0.5)
    for left in asyncio.all_tasks() - before:
        left.cancel()
    await asyncio.wait([task])
    assert not still_running


async def test_no_car_is_announced_before_messages_to_the_replica_are_received() -> None:
    hub = Hub(publish_head, lambda room: keeper.changed(room))
    asked, receives = asyncio.Event(), asyncio.Event()

    async def take_name(name: str) -> None:
        asked.set()
        await receives.wait()

    keeper = PresenceKeeper(cast("Any", FakeRedis()), hub, Lease(), new_name=lambda: "replica", take_name=take_name)
    presence = keeper._presence = cast("Any", QuickPresence())
    hub.join_car(hub.room(vehicle()), car(), 0, epoch=1)
    task = asyncio.create_task(keeper.run())
    await asked.wait()
    assert (presence.has_lease, keeper._replica) == (False, None)
    receives.set()
    await until(lambda: presence.announcements)
    assert presence.has_lease
    task.cancel()
    await asyncio.wait([task])


async def test_of_many_vehicles_some_are_announced_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANNOUNCED_AT_ONCE", 2)
    rooms: list[Room] = []
    hub = Hub(publish_head, rooms.append)
    keeper = keeper_of(hub, Lease())
    presence = keeper._presence = cast("Any", QuickPresence())
    for key in range(1, 6):
        hub.join_car(hub.room(vehicle(key, f"CAR{key}")), car(), 0, epoch=1)
    task = asyncio.create_task(keeper.run())
    await until(lambda: sum(map(len, presence.announcements)) == 5)
    assert [len(connected) for connected in presence.announcements] == [2, 2, 1]
    task.cancel()
    await asyncio.wait([task])


async def test_the_lease_ends_some_time_after_it_was_renewed_last() -> None:
    lease, loop = Lease(), asyncio.get_running_loop()
    hub = Hub(publish_head, lambda room: None)
    keeper = keeper_of(hub, lease)
    keeper._presence = cast("Any", QuickPresence())
    began = loop.time()
    assert not lease.is_over(began + 10 * REPLICA_LEASE)
    task = asyncio.create_task(keeper.run())
    await until(lambda: lease.is_over(loop.time() + REPLICA_LEASE))
    assert not lease.is_over(began + REPLICA_LEASE)
    task.cancel()
    await asyncio.wait([task])


async def test_everything_is_announced_again_to_another_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.0)
    monkeypatch.setattr(module, "TICK", 0.0)
    hub = Hub(publish_head, lambda room: None)
    keeper = keeper_of(hub, Lease())
    presence = keeper._presence = cast("Any", QuickPresence())
    primary = ("host", 0)
    monkeypatch.setattr(module, "followed", lambda client: primary)
    room = hub.room(vehicle(1, "CAR1"))
    hub.join_car(room, car(), 0, epoch=1)
    task = asyncio.create_task(keeper.run())
    here = {VehicleName("CAR1", 1): Connected(1, 0, 0)}
    await until(lambda: presence.announcements == [here])
    presence.noted = [VehicleName("CAR1", 1), VehicleName("GONE", 2)]
    for number in (1, 2):
        presence.announcements.clear()
        primary = ("host", number)
        await until(lambda: presence.announcements == [{**here, VehicleName("GONE", 2): NOBODY}])
    task.cancel()
    await asyncio.wait([task])
