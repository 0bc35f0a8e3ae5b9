"""Keeps Redis told of who is connected here, this replica's lease renewed, and what dead replicas left cleared."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final

import structlog
from redis.exceptions import RedisError

from car_protocol.rooms.hub import NOBODY, Hub, Room
from car_protocol.rooms.lease import Lease
from ovms.bus.nodes import Nodes
from ovms.bus.presence import REPLICA_LEASE, Claim, Connected, Presence

TICK: Final = 0.02
ANNOUNCED_AT_ONCE: Final = 1000
"""Vehicles: where all are announced, after Redis was away, cars that log in wait for some of them only."""
RENEW_EVERY: Final = REPLICA_LEASE / 4
RETRY_AFTER: Final = 0.5
CLAIM_TIMEOUT: Final = 1.0
"""Before a car comes in without Redis."""
REDIS_TIMEOUT: Final = 5.0
"""For what is asked at once. The client itself has no time limit: redis-py would set a timer for every reply."""
_AWAY: Final = (RedisError, OSError)


class PresenceKeeper:
    """Announces the rooms whose counts changed.

    Args:
        lease: is told when it is renewed.
        new_name: makes a name for this replica that nobody ever had.
        renamed: called with the name, at first and where the lease has run out: others may be clearing what the former
            name stood for, so it is never used again.
    """

    def __init__(
        self, nodes: Nodes, hub: Hub, lease: Lease, *, new_name: Callable[[], str], renamed: Callable[[str], None]
    ) -> None:
        self._nodes = nodes
        self._lease = lease
        self._presence = Presence(nodes)
        self._hub = hub
        self._new_name = new_name
        self._renamed = renamed
        self._replica: str | None = None
        self._changed: dict[str, Room] = {}
        self._told: dict[str, Connected | None] = {}
        """Who Redis knows to be connected here; None: it may know or not. Of other vehicles it knows that nobody is."""
        self._work = asyncio.Event()
        self._naming = asyncio.Lock()
        self._is_in_step = False
        """Whether Redis knows all that was announced: it may have lost some while it was away."""
        self._primaries: frozenset[tuple[str, int]] = frozenset()
        self._log = structlog.get_logger("presence")

    def changed(self, room: Room) -> None:
        """Note that a room's counts have changed; called by the hub."""
        self._changed[room.vehicle_id] = room
        self._work.set()

    async def run(self) -> None:
        """Announce, renew and clear until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._retrying(self._announce_changes))
            tasks.create_task(self._retrying(self._keep_lease))

    async def end(self) -> None:
        """Take this replica's connections out of the counts."""
        if self._replica is None:
            return
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                await self._presence.clear_replica(self._replica)
        except (*_AWAY, TimeoutError) as error:
            self._log.warning("the lease of this replica runs out by itself", reason=type(error).__name__)

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        while not _is_to_stop():
            try:
                await work()
            except _AWAY as error:
                self._is_in_step = False
                self._log.warning("Redis is away; others are told of changes later", reason=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)

    # ---- who is connected here

    async def _announce_changes(self) -> None:
        while not _is_to_stop():
            await self._work.wait()
            await asyncio.sleep(TICK)
            self._work.clear()
            async with self._naming:
                if self._replica is not None:  # else the first lease announces everything
                    await self._announce(self._replica)

    async def _announce(self, replica: str) -> None:
        changed = dict(islice(self._changed.items(), ANNOUNCED_AT_ONCE))
        for name in changed:
            del self._changed[name]
        if self._changed:
            self._work.set()
        connected = {name: room.connected() for name, room in changed.items()}
        news = {name: counts for name, counts in connected.items() if counts != self._told.get(name, NOBODY)}
        if not news:
            return
        self._told |= dict.fromkeys(news)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                await self._presence.announce(replica, news)
        except BaseException:
            self._changed = changed | self._changed
            self._work.set()
            raise
        for name, counts in news.items():
            if counts == NOBODY:
                del self._told[name]
            else:
                self._told[name] = counts

    async def claim(self, cars: Sequence[tuple[str, int]]) -> list[Claim]:
        """Make this replica the owner of some cars' newest sessions, in order; or be told to wait first.

        Args:
            cars: vehicle ids, and since when each has waited (`ovms.bus.presence`).

        Raises:
            RedisError, OSError: Redis is away.
        """
        # Not while something is announced: that must not come after it and say that the car is not here.
        async with asyncio.timeout(CLAIM_TIMEOUT), self._naming:
            self._told |= dict.fromkeys(name for name, _ in cars)
            claims = await self._presence.claim(self._replica or "", cars)
        for (name, _), claim in zip(cars, claims, strict=True):
            self._told[name] = claim.present.replicas.get(claim.present.owner) if claim.epoch else None
        return claims

    # ---- leases

    async def _keep_lease(self) -> None:
        async with asyncio.timeout(REDIS_TIMEOUT):
            await self._look_for_others()
            replica, asked_at = self._replica, asyncio.get_running_loop().time()
            if replica is None or not await self._presence.renew_replica(replica):
                replica = await self._begin()
            self._lease.renewed(asked_at)
            if not self._is_in_step:
                self._is_in_step = True
                for room in self._hub:
                    self._told[room.vehicle_id] = None
                    self.changed(room)
                await self._take_back_who_left(replica)
            for ended in await self._presence.ended_replicas():
                cleared = await self._presence.clear_replica(ended)
                self._log.info("cleared what a replica had left", replica=ended, vehicles=cleared)
        await asyncio.sleep(RENEW_EVERY)

    async def _look_for_others(self) -> None:
        """A replica that took a primary's place has perhaps not got all that this one had said yes to."""
        primaries = await self._nodes.primaries()
        if primaries != self._primaries:
            self._primaries, self._is_in_step = primaries, False

    async def _take_back_who_left(self, replica: str) -> None:
        """Redis may have forgotten that somebody is here no more."""
        async with self._naming:
            left = [name for name in await self._presence.vehicles_of(replica) if name not in self._told]
            for start in range(0, len(left), ANNOUNCED_AT_ONCE):
                await self._presence.announce(replica, dict.fromkeys(left[start : start + ANNOUNCED_AT_ONCE], NOBODY))

    async def _begin(self) -> str:
        """Take a name and a lease; returns the name."""
        async with self._naming:
            name = self._new_name()
            await self._presence.begin_replica(name)
            former, self._replica, self._is_in_step = self._replica, name, False
            self._renamed(name)
            if former is not None:
                # What was announced under it after others had cleared it.
                await self._presence.clear_replica(former)
            return name


def _is_to_stop() -> bool:
    """Whether this task was cancelled, even if redis-py has swallowed that: `asyncio.wait_for` of Python 3.11 can."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
