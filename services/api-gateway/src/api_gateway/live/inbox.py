"""What waits for one reader. It is bounded: of a state only the newest waits, of what comes once the newest few.

The reader is told in the order in which things began to wait, so that no record is starved by others that change more often.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from api_gateway.live.events import Told, missed
from api_gateway.live.tally import Tally

MOST_ONCE: Final = 100
"""Notifications and changes of commands that wait; beyond, the oldest goes, and the reader is told so."""


class Key(NamedTuple):
    """Of what only the newest waits."""

    vehicle: int
    """`vehicles.id`"""
    what: str | int
    """A record's code, or another name; a number of its own where all is told."""


class Ending(NamedTuple):
    """Why no more is told."""

    reason: str
    code: int
    """A close code of WebSocket."""


GONE: Final = Ending("The client has gone", 1000)


class _Waiting(NamedTuple):
    event: Told
    since: float | None
    """Unix time; None: it is of the time before the reader came."""


class Inbox:
    """Events on their way to one reader.

    Args:
        known_until: the Unix time until which its reader knows all, from an earlier stream.
        now: the Unix time until which all that waits nowhere has been told.
        tally: counts what is told.
    """

    def __init__(
        self, known_until: float | None, now: Callable[[], float], tally: Tally, *, most_once: int = MOST_ONCE
    ) -> None:
        self.known_until = known_until
        self._now = now
        self._tally = tally
        self._most_once = most_once
        self._waiting: dict[Key, _Waiting] = {}
        self._once: deque[Key] = deque()
        self._numbers = itertools.count()
        self._older = 0
        """Of what waits, that of the time before the reader came."""
        self._unloaded: set[int] = set()
        self._missed_since = known_until
        self._work = asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()
        self.ends: Ending | None = None

    # ---- what is to be told

    def put(self, vehicle: int, what: str, event: Told, since: float | None) -> None:
        """Tell this in place of what waits of the same, in its turn."""
        key = Key(vehicle, what)
        if (former := self._waiting.get(key)) is not None:
            since = former.since
        else:
            self._older += since is None
        self._waiting[key] = _Waiting(event, since)
        self._work.set()

    def add(self, vehicle: int, event: Told, since: float) -> None:
        """Tell this once."""
        if len(self._once) >= self._most_once:
            self.miss((self._waiting.pop(self._once.popleft()).since) or since)
        key = Key(vehicle, next(self._numbers))
        self._once.append(key)
        self._waiting[key] = _Waiting(event, since)
        self._work.set()

    def miss(self, since: float) -> None:
        """Tell that some of what comes once may not have been told."""
        self._missed_since = since if self._missed_since is None else min(since, self._missed_since)
        self._work.set()

    def forget(self, vehicle: int) -> None:
        """Tell nothing of what waits of a vehicle."""
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if key.vehicle != vehicle}
        self._once = deque(key for key in self._once if key.vehicle != vehicle)
        self._older = sum(waiting.since is None for waiting in self._waiting.values())

    def await_load(self, vehicle: int) -> None:
        """A vehicle's state is not known yet."""
        self._unloaded.add(vehicle)
        self._whole.clear()

    def loaded(self, vehicle: int) -> None:
        """It is, or nobody asks any more."""
        self._unloaded.discard(vehicle)
        if not self._unloaded:
            self._whole.set()

    def end(self, ending: Ending) -> None:
        """Tell no more."""
        self.ends = self.ends or ending
        self._work.set()
        self._whole.set()

    # ---- its reader

    async def whole(self) -> None:
        """Wait until the state of every vehicle is known, or its end."""
        await self._whole.wait()

    async def wait(self) -> None:
        """Wait for an event or its end."""
        await self._work.wait()

    def take(self) -> tuple[Told, float | None] | None:
        """The next event, and the Unix time until which all has been told with it, where there is one; None: nothing waits."""
        if self._missed_since is not None:
            since, self._missed_since = self._missed_since, None
            return missed(since), None
        if not self._waiting:
            if self.ends is None:
                self._work.clear()
            return None
        key = next(iter(self._waiting))
        waiting = self._waiting.pop(key)
        self._older -= waiting.since is None
        if self._once and self._once[0] == key:
            self._once.popleft()
        return waiting.event, self._told_until()

    @property
    def waits_since(self) -> float | None:
        """The Unix time since which the next event waits; None: since before its reader came, or nothing does."""
        return next((waiting.since for waiting in self._waiting.values()), None)

    def has_told(self, told: Sequence[tuple[Told, float | None]], since: float | None) -> None:
        """What was taken has been told; the first of it waited since a Unix time."""
        for event, _ in told:
            self._tally.events[event.kind] += 1
        self._tally.told(since)

    def _told_until(self) -> float | None:
        if self._older or self._unloaded:
            return None
        now = self._now()
        return min(now, next(iter(self._waiting.values())).since or now) if self._waiting else now
