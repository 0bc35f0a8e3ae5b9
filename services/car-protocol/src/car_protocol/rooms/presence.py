"""Keeps Redis told of who is connected here, this replica's lease renewed, and what dead replicas left cleared."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Final

import structlog

from car_protocol.rooms.hub import Hub, Room
from car_protocol.rooms.lease import Lease
from ovms.bus.address import Node
from ovms.bus.client import Client, followed
from ovms.bus.errors import FAILURES
from ovms.bus.presence import NOBODY, REPLICA_LEASE, Claim, Connected, Presence
from ovms.identity import VehicleName
from ovms.outages import REDIS, report_outage
from ovms.stopping import raise_if_cancelled, sleep_unless_cancelled

TICK: Final = 0.02
ANNOUNCED_AT_ONCE: Final = 1000
"""Vehicles: where all are announced, after Redis was away, cars that log in wait for some of them only."""
RENEW_EVERY: Final = REPLICA_LEASE / 4
RETRY_AFTER: Final = 0.5
ROUND: Final = 4
"""Renewals in which everything announced is compared with what Redis holds: a count that is wrong is right again in as many."""
CHECKED_AT_ONCE: Final = 1000
"""Vehicles, in one call; with so many and fewer the round is one renewal."""
CLAIM_TIMEOUT: Final = 1.0
"""Before a car comes in without Redis."""
REDIS_TIMEOUT: Final = 5.0
"""For what is asked at once. The client itself has no time limit: redis-py would set a timer for every reply."""


class PresenceKeeper:
    """Announces the rooms whose counts changed.

    Args:
        lease: is told when it is renewed.
        new_name: makes a name for this replica that nobody ever had.
        take_name: called with the name, at first and where the lease has run out: others may be clearing what the former
            name stood for, so it is never used again. It returns once this replica receives what is sent to the name: no
            car may be announced under it before, or a command for the car would be lost.
    """

    def __init__(
        self,
        client: Client,
        hub: Hub,
        lease: Lease,
        *,
        new_name: Callable[[], str],
        take_name: Callable[[str], Awaitable[None]],
    ) -> None:
        self._client = client
        self._lease = lease
        self._presence = Presence(client)
        self._hub = hub
        self._new_name = new_name
        self._take_name = take_name
        self._replica: str | None = None
        self._changed: dict[VehicleName, Room | None] = {}
        """Rooms to announce; None where nobody is connected."""
        self._announced: dict[VehicleName, Connected | None] = {}
        """What Redis holds of this replica under its present name; None: unknown. Of other vehicles it holds nothing."""
        self._to_check: list[VehicleName] = []
        self._to_raise: dict[VehicleName, int] = {}
        """Vehicles whose next session needs a number that Redis does not know of, and the greatest number so far."""
        self._work = asyncio.Event()
        self._naming = asyncio.Lock()
        self._is_in_step = False
        """Whether Redis knows all that was announced: it may have lost some while it was away."""
        self._primary: Node | None = None
        self._log = structlog.get_logger("presence")

    def changed(self, room: Room) -> None:
        """Note that a room's counts have changed; called by the hub."""
        self._changed[room.name] = room
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
        except FAILURES as error:
            self._log.warning("the lease of this replica runs out by itself", reason=type(error).__name__)

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except FAILURES as error:
                self._is_in_step = False
                report_outage(self._log, REDIS, "presence is announced later", error)
                await sleep_unless_cancelled(RETRY_AFTER)
            raise_if_cancelled()

    # ---- who is connected here

    async def _announce_changes(self) -> None:
        while True:
            raise_if_cancelled()
            await self._work.wait()
            await asyncio.sleep(TICK)
            self._work.clear()
            await self._raise_sessions()
            async with self._naming:
                if self._replica is not None:  # else the first lease announces everything
                    await self._announce(self._replica)

    async def _announce(self, replica: str) -> None:
        changed = dict(islice(self._changed.items(), ANNOUNCED_AT_ONCE))
        for name in changed:
            del self._changed[name]
        if self._changed:
            self._work.set()
        connected = {name: room.connected() if room is not None else NOBODY for name, room in changed.items()}
        news = {name: counts for name, counts in connected.items() if counts != self._announced.get(name, NOBODY)}
        if not news:
            return
        self._announced |= dict.fromkeys(news)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT) as limit:
                await self._presence.announce(replica, news, give_up_at=limit.when())
        except BaseException:
            self._changed = changed | self._changed
            self._work.set()
            raise
        self._announced |= news

    async def claim(self, cars: Sequence[tuple[VehicleName, int]]) -> list[Claim]:
        """Make this replica the owner of some cars' newest sessions, in order; or be told to wait first.

        Args:
            cars: vehicles, and since when each has waited (`ovms.bus.presence`).

        Raises:
            One of `FAILURES`: Redis is unavailable.
        """
        # Not while something is announced: that must not come after it and say that the car is not here.
        async with asyncio.timeout(CLAIM_TIMEOUT) as limit, self._naming:
            self._announced |= dict.fromkeys(name for name, _ in cars)
            claims = await self._presence.claim(self._replica or "", cars, give_up_at=limit.when())
        for (name, _), claim in zip(cars, claims, strict=True):
            self._announced[name] = claim.present.replicas.get(claim.present.owner) if claim.epoch else None
        return claims

    # ---- session numbers

    def raise_sessions(self, sessions: Mapping[int, int]) -> None:
        """Let Redis give greater session numbers than these, then close the cars here whose numbers are not greater.

        PostgreSQL accepts no states of theirs, or not all, and it would accept none of their next session either if that had a
        lower number again. While Redis is unavailable this replica numbers their next session itself (`greatest_session`).

        Args:
            sessions: another replica's, whose states keep those of a car here from being written, by vehicle.
        """
        for vehicle, session in sessions.items():
            room = self._hub.get(vehicle)
            if room is not None and room.car is not None and room.epoch <= session:
                self._to_raise[room.name] = session
                self._work.set()

    def greatest_session(self, vehicle: VehicleName) -> int:
        """Return the greatest session number of a vehicle that Redis may not know of, 0 where there is none."""
        return self._to_raise.get(vehicle, 0)

    async def _raise_sessions(self) -> None:
        numbers = dict(islice(self._to_raise.items(), ANNOUNCED_AT_ONCE))
        if not numbers:
            return
        try:
            async with asyncio.timeout(REDIS_TIMEOUT) as limit:
                await self._presence.raise_sessions(numbers, give_up_at=limit.when())
        except FAILURES:
            self._work.set()
            self._close_refused(numbers)
            raise
        for name, number in numbers.items():
            if self._to_raise[name] == number:
                del self._to_raise[name]
        if self._to_raise:
            self._work.set()
        self._close_refused(numbers)

    def _close_refused(self, numbers: Mapping[VehicleName, int]) -> None:
        sessions = {name.number: session for name, session in numbers.items()}
        self._hub.followed(sessions, asyncio.get_running_loop().time())

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
                # Redis may have lost what it had confirmed, and may hold what nobody knows here.
                self._announce_anew([*self._announced, *(room.name for room in self._hub)])
                self._announce_anew(await self._presence.vehicles_of(replica))
            await self._check(replica)
            for ended in await self._presence.ended_replicas():
                cleared = await self._presence.clear_replica(ended)
                self._log.info("cleared what a replica had left", replica=ended, vehicles=cleared)
        await asyncio.sleep(RENEW_EVERY)

    async def _look_for_others(self) -> None:
        """A replica that took a primary's place has perhaps not got all that this one had said yes to."""
        primary = followed(self._client)
        if primary != self._primary:
            self._primary, self._is_in_step = primary, False

    def _announce_anew(self, vehicles: Sequence[VehicleName]) -> None:
        """Announce vehicles whatever Redis holds of them."""
        if not vehicles:
            return
        rooms = {room.name: room for room in self._hub}
        self._announced |= dict.fromkeys(vehicles)
        self._changed |= {name: rooms.get(name) for name in vehicles}
        self._work.set()

    async def _check(self, replica: str) -> None:
        """Compare some of what was announced with what Redis holds, all of it in `ROUND` renewals; announce what differs."""
        self._to_check = self._to_check or list(self._announced)
        count = max(CHECKED_AT_ONCE, -(-len(self._announced) // ROUND))
        names, self._to_check = self._to_check[:count], self._to_check[count:]
        for start in range(0, len(names), CHECKED_AT_ONCE):
            # Not while something is announced or claimed, which Redis may hold before it is known here.
            async with self._naming:
                checked = [name for name in names[start : start + CHECKED_AT_ONCE] if name in self._announced]
                held = await self._presence.announced(replica, checked)
                wrong = [name for name, counts in zip(checked, held, strict=True) if counts != self._announced[name]]
                for name in set(checked).difference(wrong):
                    if self._announced[name] == NOBODY:
                        del self._announced[name]
            if known := [name for name in wrong if self._announced[name] is not None]:
                self._log.warning("Redis did not hold what was announced; it is announced again", vehicles=len(known))
            self._announce_anew(wrong)

    async def _begin(self) -> str:
        """Take a name and a lease; returns the name."""
        async with self._naming:
            name = self._new_name()
            await self._take_name(name)
            await self._presence.begin_replica(name)
            former, self._replica, self._is_in_step = self._replica, name, False
            self._announced.clear()  # under this name nothing was
            if former is not None:
                # What was announced under it after others had cleared it.
                await self._presence.clear_replica(former)
            return name
