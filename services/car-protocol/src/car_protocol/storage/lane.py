"""The way of one kind of rows into PostgreSQL: what has come is taken a moment later, and written while more comes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import asyncpg
import structlog

from ovms.db.engine import UNAVAILABLE
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import sleep_unless_cancelled

RETRY_AFTER: Final = 0.5

PUT_OFF: Final = (*UNAVAILABLE, asyncpg.PostgresError)
"""What a statement raises that has failed, but may succeed later: PostgreSQL is away, a deadlock. The rows wait."""

Write: TypeAlias = Coroutine[Any, Any, None]


class Lane:
    """Has rows written.

    Args:
        take: takes what waits, at once, and returns what writes it: that raises one of `PUT_OFF`, and then it waits again.
        at_once: how many of these may be under way.
        tick: seconds from one taking to the next. A burst is always given a quarter of that to come.
    """

    def __init__(self, take: Callable[[], Write], *, at_once: int, tick: float, monotonic: Callable[[], float]) -> None:
        self._take = take
        self._at_once = at_once
        self._tick = tick
        self._monotonic = monotonic
        self._taken_at = -tick
        self._work = asyncio.Event()
        self._taking = asyncio.Lock()
        self._under_way = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.wake = self._work.set
        """Call it when something has come."""
        self.failures = 0

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as writers:
            for _ in range(self._at_once):
                writers.create_task(self._write_on())

    async def flush(self) -> None:
        """Write all that waits now, and what is being written.

        Raises:
            One of `PUT_OFF`: PostgreSQL is away; nothing is lost, call again.
        """
        async with self._taking:
            await self._is_idle.wait()
            await self._begin()

    async def _write_on(self) -> None:
        log = structlog.get_logger("recorder")
        while True:
            await self._work.wait()
            try:
                await self._write_next()
            except PUT_OFF as error:
                self.failures += 1
                report_outage(log, POSTGRESQL, "rows wait in memory", error)
                await sleep_unless_cancelled(RETRY_AFTER)

    async def _write_next(self) -> None:
        await asyncio.sleep(max(self._tick - (self._monotonic() - self._taken_at), self._tick / 4))
        async with self._taking:
            if not self._work.is_set():
                return  # another has taken it
            self._taken_at = self._monotonic()
            write = self._begin()
        await write

    def _begin(self) -> Write:
        self._work.clear()
        self._under_way += 1
        self._is_idle.clear()
        return self._end(self._take())

    async def _end(self, write: Write) -> None:
        try:
            await write
        except PUT_OFF:
            self._work.set()
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._is_idle.set()
