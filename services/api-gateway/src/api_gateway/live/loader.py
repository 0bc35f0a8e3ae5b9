"""Reads the newest state of vehicles: when their channels have been joined, and now and then, for what was published to nobody.

What a car has said last may wait where it is or was connected: its replica is asked first, by a message that comes after all
that it has published before, and PostgreSQL after that. So all that was said before is in one of the two, or has been heard.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from api_gateway.live.feed import Feed
from ovms.bus.cars import Cars
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Presence, Present
from ovms.bus.replicas import Written
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.logins import StoredMessage, find_messages
from ovms.outages import report_outage, store_of
from ovms.stopping import raise_if_cancelled, sleep_unless_cancelled

BATCH: Final = 500
EVERY: Final = 60.0
"""Seconds after which everything is read anew."""
LEARN_WITHIN: Final = 0.5
"""Seconds for a replica to tell what it has not written."""
AGAIN_AFTER: Final = 2.0
"""Seconds, where it has not."""
RETRY_AFTER: Final = 0.5
MOST_BEHIND: Final = 2 * EVERY
"""Seconds that no reader is told to know more than what was read: see `told_until`."""

Messages = Mapping[int, StoredMessage]


class Loader:
    """Loads feeds, many at once.

    Args:
        feeds: those that there are.
        clock: Unix time.
    """

    def __init__(
        self,
        pool: Pool,
        presence: Presence,
        cars: Cars,
        feeds: Callable[[], Iterable[Feed]],
        clock: Callable[[], float],
        log: Any,
    ) -> None:
        self._pool = pool
        self._presence = presence
        self._cars = cars
        self._feeds = feeds
        self._clock = clock
        self._log = log
        self._asked: dict[Feed, None] = {}
        self._work = asyncio.Event()
        self._began = clock()
        """When everything was begun to be read that has been read."""

    def ask(self, feed: Feed) -> None:
        """Load a feed, soon."""
        self._asked[feed] = None
        self._work.set()

    def told_until(self) -> float:
        """The Unix time until which a reader knows all who has been told all that is known here."""
        return min(self._clock(), self._began + MOST_BEHIND)

    async def run(self) -> None:
        """Load until cancelled."""
        loop = asyncio.get_running_loop()
        reads_all_at = loop.time() + EVERY
        while True:
            raise_if_cancelled()
            try:
                async with asyncio.timeout_at(reads_all_at):
                    await self._work.wait()
            except TimeoutError:
                reads_all_at = loop.time() + EVERY
                await self._read_all()
            else:
                await self._read_asked()

    async def _read_all(self) -> None:
        began = self._clock()
        for feed in self._feeds():
            self.ask(feed)
        if await self._read_asked():
            self._began = began

    async def _read_asked(self) -> bool:
        """Load those that are asked for; whether that could be done."""
        asked, self._asked = list(self._asked), {}
        self._work.clear()
        for start in range(0, len(asked), BATCH):
            try:
                await self._read([feed for feed in asked[start : start + BATCH] if feed.is_watched])
            except (*UNAVAILABLE, asyncpg.PostgresError, *FAILURES) as error:
                report_outage(self._log, store_of(error), "current messages are read later", error)
                self._again(asked[start:], RETRY_AFTER)
                await sleep_unless_cancelled(RETRY_AFTER)
                return False
        return True

    def _again(self, feeds: Sequence[Feed], after: float) -> None:
        loop = asyncio.get_running_loop()
        for feed in feeds:
            loop.call_later(after, self.ask, feed)

    async def _read(self, feeds: Sequence[Feed]) -> None:
        if not feeds:
            return
        for feed in feeds:
            feed.load_begins()
        presents = await self._presence.present([feed.name for feed in feeds])
        for feed, present in zip(feeds, presents, strict=True):
            feed.is_present(present)
        told = await asyncio.gather(*map(self._unwritten, feeds, presents))
        stored = await find_messages(self._pool, [feed.vehicle for feed in feeds])
        for feed, (written, is_whole) in zip(feeds, told, strict=True):
            feed.load(newest(stored[feed.vehicle], written), is_whole=is_whole)
        self._again([feed for feed, (_, is_whole) in zip(feeds, told, strict=True) if not is_whole], AGAIN_AFTER)

    async def _unwritten(self, feed: Feed, present: Present) -> tuple[Written | None, bool]:
        """What is not in PostgreSQL yet, and whether that is all."""
        session, replica = max(((connected.session, name) for name, connected in present.replicas.items()), default=(0, ""))
        holder = replica if session else present.owner
        if not holder:
            return None, True
        written = await self._cars.unwritten(holder, feed.vehicle, within=LEARN_WITHIN)
        return written, written is not None


def newest(stored: Messages, written: Written | None) -> Messages:
    """Of both, what waits, unless a later session has been elsewhere; what is sealed with a former key is left out."""
    if written is None:
        return stored
    waits = {kept.message[0]: StoredMessage(*kept) for kept in written.messages}
    found = dict(stored) | {
        code: kept for code, kept in waits.items() if code not in stored or stored[code].epoch <= kept.epoch
    }
    token = written.paranoid_token
    if token is None:
        return found
    return {code: kept for code, kept in found.items() if kept.sealed_with in (None, token)}
