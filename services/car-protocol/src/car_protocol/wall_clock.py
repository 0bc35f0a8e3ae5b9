"""The Unix time of the event loop's times: follows corrections of the system's clock."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

ADJUST_EVERY: Final = 5.0
"""Seconds between two measurements. A system's clock that is set after the start (NTP on a machine without a clock chip) and a
loop's clock that stood still (a suspended virtual machine) are both measured as a new offset."""
TOLERANCE: Final = 2.0
"""Seconds that the wall clock may be ahead of the system's before it is set back: see `WallClock.adjust`."""


class WallClock:
    """Unix time as the loop's time plus an offset that changes only in `adjust`.

    Args:
        monotonic: the loop's clock, in which times of messages are.
        system: the system's Unix time.
    """

    __slots__ = ("_monotonic", "_system", "offset")

    def __init__(self, monotonic: Callable[[], float], system: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._system = system
        self.offset = system() - monotonic()
        """Seconds: Unix time is the loop's time plus this."""

    def now(self) -> float:
        """Return the Unix time."""
        return self._monotonic() + self.offset

    def at(self, moment: float) -> float:
        """Return the Unix time of a time of the loop."""
        return moment + self.offset

    def adjust(self) -> float:
        """Measure the offset again and adopt it; return the seconds by which it grew, negative where the clock was set back.

        The clock is set forward by any difference, since later messages stay later. It is set back only by more than the
        tolerance: messages of a session are ordered by their time, so setting it back has a price.
        """
        measured = self._system() - self._monotonic()
        step = measured - self.offset
        if -TOLERANCE <= step <= 0:
            return 0.0
        self.offset = measured
        return step


class ClockAdjustment:
    """Adjusts the wall clock.

    Args:
        set_back: called where the clock was set back: what is received from now on has earlier times than what came before.
    """

    def __init__(self, clock: WallClock, set_back: Callable[[], None]) -> None:
        self._clock = clock
        self._set_back = set_back
        self._log = structlog.get_logger("clock")

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(ADJUST_EVERY)
            self.step()

    def step(self) -> None:
        """Adopt the system's time."""
        step = self._clock.adjust()
        if step < 0:
            self._set_back()
        if abs(step) > TOLERANCE:
            self._log.warning("wall clock adjusted", seconds=round(step, 3))
