"""Carries out what the views of feeds request: presence, what a replica has not committed, and what PostgreSQL has.

Presence and PostgreSQL are read for many feeds at once. A late result does no harm: it has the number of its request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg

from api_gateway.live.feed import Feed
from ovms.bus.cars import Cars
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Presence
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.logins import find_messages
from ovms.outages import report_outage, store_of
from ovms.stopping import raise_if_cancelled, sleep_unless_cancelled

BATCH: Final = 500
CHECK_EVERY: Final = 60.0
"""Seconds."""
LOCATE_EVERY: Final = 1.0
"""Seconds between two readings of presence for one feed: all that a view requests follows from one."""
ANSWER_WITHIN: Final = 1.0
"""Seconds for a replica."""
OVERDUE_AFTER: Final = 1.0
"""Seconds that a reader waits for a complete state before it gets what there is."""
RETRY_AFTER: Final = 0.5
MOST_BEHIND: Final = 2 * CHECK_EVERY
"""Seconds that no reader is told to know more than what was read: see `told_until`."""

_Batch = Sequence[tuple[Feed, int]]
"""Feeds, each with the number of its request."""


class Loader:
    """Carries out requests until cancelled.

    Args:
        feeds: those that there are.
        clock: Unix time.
    """

    def __init__(
        self,
        pool: Pool,
        presence: Presence,
        cars: Cars,
        feeds: Callable[[], Sequence[Feed]],
        clock: Callable[[], float],
        log: Any,
    ) -> None:
        self._pool = pool
        self._presence = presence
        self._cars = cars
        self._feeds = feeds
        self._clock = clock
        self._log = log
        self._locating = _Batches(self._locate, log)
        self._reading = _Batches(self._read, log)
        self._put_off: dict[Feed, int] = {}
        """Requests to locate that wait for their second."""
        self._tasks = asyncio.TaskGroup()
        self._complete_at = clock()
        """When the feed that was complete the longest ago was so."""

    def told_until(self) -> float:
        """The Unix time until which a reader knows all who has been told all that is known here."""
        return min(self._clock(), self._complete_at + MOST_BEHIND)

    # ---- what feeds request

    def locate(self, feed: Feed, request: int) -> None:
        """Read presence, at most once a second; a request that waits is replaced by a newer one."""
        loop = asyncio.get_running_loop()
        if feed in self._put_off:
            self._put_off[feed] = request
        elif (now := loop.time()) >= feed.may_locate_at:
            feed.may_locate_at = now + LOCATE_EVERY
            self._locating.put(feed, request)
        else:
            self._put_off[feed] = request
            loop.call_at(feed.may_locate_at, self._locate_now, feed)

    def _locate_now(self, feed: Feed) -> None:
        feed.may_locate_at = asyncio.get_running_loop().time() + LOCATE_EVERY
        self._locating.put(feed, self._put_off.pop(feed))

    def ask(self, feed: Feed, request: int, replica: str) -> None:
        """Ask a replica for what it has not committed."""
        self._tasks.create_task(self._ask(feed, request, replica))

    def read(self, feed: Feed, request: int) -> None:
        """Read what PostgreSQL has."""
        self._reading.put(feed, request)

    def expect(self, feed: Feed) -> None:
        """Serve the readers of a feed in a second, if they still wait."""
        asyncio.get_running_loop().call_later(OVERDUE_AFTER, _if_watched, feed, feed.overdue)

    # ---- how it is carried out

    async def run(self) -> None:
        """Carry out requests until cancelled."""
        async with self._tasks as tasks:
            tasks.create_task(self._locating.run())
            tasks.create_task(self._reading.run())
            tasks.create_task(self._check())

    async def _check(self) -> None:
        while True:
            await sleep_unless_cancelled(CHECK_EVERY)
            feeds = self._feeds()
            self._complete_at = min((feed.read_at for feed in feeds), default=self._clock())
            for feed in feeds:
                feed.check()

    async def _locate(self, batch: _Batch) -> None:
        presents = await self._presence.present([feed.name for feed, _ in batch])
        for (feed, request), present in zip(batch, presents, strict=True):
            feed.located(request, present)

    async def _ask(self, feed: Feed, request: int, replica: str) -> None:
        try:
            written = await self._cars.unwritten(replica, feed.vehicle, within=ANSWER_WITHIN)
        except FAILURES as error:
            report_outage(self._log, store_of(error), "current messages are read later", error)
            written = None
        if written is None:
            feed.timed_out(request)
        else:
            feed.answered(request, written)

    async def _read(self, batch: _Batch) -> None:
        stored = await find_messages(self._pool, {feed.vehicle for feed, _ in batch})
        for feed, request in batch:
            feed.stored(request, stored[feed.vehicle])


class _Batches:
    """Requests of one kind, of which many are carried out at once.

    Args:
        carry_out: calls the feeds of a batch with the results.
    """

    def __init__(self, carry_out: Callable[[_Batch], Awaitable[None]], log: Any) -> None:
        self._carry_out = carry_out
        self._log = log
        self._waiting: list[tuple[Feed, int]] = []
        self._work = asyncio.Event()

    def put(self, feed: Feed, request: int) -> None:
        """Carry out a request, soon."""
        self._waiting.append((feed, request))
        self._work.set()

    async def run(self) -> None:
        """Carry out requests until cancelled."""
        while True:
            raise_if_cancelled()
            await self._work.wait()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if not self._waiting:
                self._work.clear()
            await self._try([(feed, request) for feed, request in batch if feed.is_watched])

    async def _try(self, batch: _Batch) -> None:
        try:
            if batch:
                await self._carry_out(batch)
        except (*UNAVAILABLE, asyncpg.PostgresError, *FAILURES) as error:
            report_outage(self._log, store_of(error), "current messages are read later", error)
            for feed, request in batch:
                asyncio.get_running_loop().call_later(RETRY_AFTER, _if_watched, feed, feed.unavailable, request)


def _if_watched(feed: Feed, call: Callable[..., None], *arguments: int) -> None:
    if feed.is_watched:
        call(*arguments)
