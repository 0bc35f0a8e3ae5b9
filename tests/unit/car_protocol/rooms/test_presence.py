"""What keeps Redis told, with a Redis in memory."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from car_protocol.rooms.hub import Hub
from car_protocol.rooms.presence import PresenceKeeper
from fakes.peers import car
from fakes.rooms import publish_head, vehicle
from fixtures.waiting import until


class FakeRedis:
    """Gives a subscription on which nothing ever comes."""

    def register_script(self, script: str) -> None:
        return None

    def pubsub(self, **options: Any) -> "FakeRedis":
        return self

    async def subscribe(self, *names: str) -> None:
        """Nothing comes."""

    async def listen(self) -> Any:
        await asyncio.Event().wait()
        yield {}


class FakePresence:
    """Is in the middle of an announcement for as long as a test wants."""

    def __init__(self) -> None:
        self.announced: list[Mapping[str, tuple[int, int, int]]] = []
        self.is_announcing = False

    async def renew_replica(self, replica: str) -> None:
        """It is kept."""

    async def announce(self, replica: str, counts: Mapping[str, tuple[int, int, int]]) -> None:
        self.is_announcing = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # What `asyncio.wait_for` of Python 3.11 makes of a cancellation that comes as what it waits for is done;
            # redis-py has one around every write.
            self.announced.append(counts)


async def test_it_stops_also_where_redis_py_swallows_the_cancellation() -> None:
    keeper = PresenceKeeper(cast("Any", FakeRedis()), "replica", monotonic=lambda: 0.0, wall=lambda: 0.0)
    presence = keeper._presence = cast("Any", FakePresence())
    hub = Hub(publish_head, keeper.changed)
    before = asyncio.all_tasks()
    task = asyncio.create_task(keeper.run(hub))
    hub.join_car(hub.room(vehicle()), car(), 0)
    await until(lambda: presence.is_announcing)
    task.cancel()
    _, still_running = await asyncio.wait([task], timeout=0.5)
    for left in asyncio.all_tasks() - before:
        left.cancel()
    await asyncio.wait([task])
    assert not still_running
