"""Keeps Redis told of who is connected here, and this replica of the HTTP sessions that watch its cars."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from car_protocol.rooms.hub import Hub, Room
from ovms.bus.channels import peers_channel, replica_channel, vehicle_of
from ovms.bus.presence import REPLICA_LEASE, Presence, watchers_of
from ovms.identity import fold_vehicle_id

TICK: Final = 0.02
RETRY_AFTER: Final = 0.5
REDIS_TIMEOUT: Final = 5.0
"""For one pipeline. The client itself has no time limit: redis-py would set a timer for every reply."""
_AWAY: Final = (RedisError, OSError)


class PresenceKeeper:
    """Announces the rooms whose counts changed, and follows the peers channel of every car connected here.

    Args:
        replica: the name of this replica, new at every start.
        monotonic: the clock that messages are sent with.
        wall: the Unix time, against which leases end.
    """

    def __init__(
        self, client: redis.asyncio.Redis, replica: str, *, monotonic: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._presence = Presence(client)
        self._pubsub = client.pubsub(ignore_subscribe_messages=False)
        self._replica = replica
        self._monotonic = monotonic
        self._wall = wall
        self._changed: dict[str, Room] = {}
        self._work = asyncio.Event()
        self._has_lease = asyncio.Event()
        self._followed: dict[str, Room] = {}
        self._to_ask: dict[str, Room] = {}
        self._log = structlog.get_logger("presence")
        self.is_connected = False

    def changed(self, room: Room) -> None:
        """Note that a room's counts have changed; called by the hub."""
        self._changed[room.vehicle_id] = room
        self._work.set()

    async def run(self, hub: Hub) -> None:
        """Announce, follow and renew until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._retrying(self._announce))
            tasks.create_task(self._retrying(lambda: self._follow(hub)))
            tasks.create_task(self._retrying(lambda: self._renew(hub)))

    async def end(self) -> None:
        """Take this replica's connections out of the counts."""
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                await self._presence.end_replica(self._replica)
        except _AWAY as error:
            self._log.warning("the lease of this replica runs out by itself", reason=type(error).__name__)

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        while not _is_to_stop():
            try:
                await work()
            except _AWAY as error:
                self.is_connected = False
                self._log.warning("Redis is away; counts of other replicas and HTTP sessions wait", reason=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)

    # ---- what is here, told to Redis

    async def _announce(self) -> None:
        await self._has_lease.wait()
        while not _is_to_stop():
            await self._work.wait()
            await asyncio.sleep(TICK)
            self._work.clear()
            changed, self._changed = self._changed, {}
            try:
                async with asyncio.timeout(REDIS_TIMEOUT):
                    await self._presence.announce(self._replica, {name: room.counts() for name, room in changed.items()})
                    await self._follow_cars(changed.values())
            except BaseException:
                self._changed = changed | self._changed
                self._work.set()
                raise

    async def _follow_cars(self, rooms: Iterable[Room]) -> None:
        come: dict[str, Room] = {}
        gone: list[str] = []
        for room in rooms:
            folded = fold_vehicle_id(room.vehicle_id)
            if room.car is not None and self._followed.get(folded) is not room:
                come[folded] = room
            elif room.car is None and self._followed.pop(folded, None) is not None:
                gone.append(folded)
        # Before the subscription is confirmed, since that is when a car is asked about again.
        self._followed |= come
        if come:
            try:
                await self._pubsub.subscribe(*map(peers_channel, come))
            except BaseException:
                for folded in come:
                    self._followed.pop(folded, None)
                raise
        if gone:
            await self._pubsub.unsubscribe(*map(peers_channel, gone))

    async def _renew(self, hub: Hub) -> None:
        """Keep the lease, announce everything where it had run out, and ask again where a watcher's lease has ended."""
        async with asyncio.timeout(REDIS_TIMEOUT):
            had_run_out = await self._presence.renew_replica(self._replica)
        self._has_lease.set()
        if had_run_out or not self.is_connected:
            self.is_connected = True
            for room in hub:
                self.changed(room)
        for _ in range(int(REPLICA_LEASE / 3)):
            await asyncio.sleep(1.0)
            due = {name: room for name, room in self._followed.items() if room.http and room.http_until <= self._wall()}
            await self._ask(hub, due)

    # ---- what is elsewhere, told by Redis

    async def _follow(self, hub: Hub) -> None:
        # A channel of our own, so that there is something to listen on while no car is here.
        await self._pubsub.subscribe(replica_channel(self._replica))
        async for event in self._pubsub.listen():
            self._heard(hub, event)
            if self._to_ask:
                asked, self._to_ask = self._to_ask, {}
                await self._ask(hub, asked)

    def _heard(self, hub: Hub, event: dict[str, Any]) -> None:
        folded = vehicle_of(event["channel"])
        room = self._followed.get(folded)
        if room is None:
            return  # our own channel, or a car that has just gone
        if event["type"] == "subscribe":
            # What changed between the car's login and this moment was not heard.
            self._to_ask[folded] = room
        elif event["type"] == "message":
            told = watchers_of(event["data"])
            hub.watched_by_http(room, told.count, told.until, self._monotonic())

    async def _ask(self, hub: Hub, rooms: dict[str, Room]) -> None:
        if not rooms:
            return
        async with asyncio.timeout(REDIS_TIMEOUT):
            watchers = await self._presence.watchers(rooms)
        for room, told in zip(rooms.values(), watchers, strict=True):
            hub.watched_by_http(room, told.count, told.until, self._monotonic())


def _is_to_stop() -> bool:
    """Whether this task was cancelled, even if redis-py has swallowed that: `asyncio.wait_for` of Python 3.11 can."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
