"""The Unix time of the event loop's times: follows corrections of the system's clock."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

ADJUST_EVERY: Final = 5.0
"""Seconds between two measurements. A system's clock that is set after the start (NTP on a machine without a clock chip) and a
loop's clock that stood still (a suspended virtual machine) are both measured as a new offset."""
LOGGED_FROM: Final = 2.0
"""Seconds of a step from which on it is logged."""


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
        """Measure the offset again and adopt it; return the seconds by which it grew, negative where the clock was set back."""
        former, self.offset = self.offset, self._system() - self._monotonic()
        return self.offset - former


class ClockAdjustment:
    """Adjusts the wall clock."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._log = structlog.get_logger("clock")

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(ADJUST_EVERY)
            self.step()

    def step(self) -> None:
        """Adopt the system's time."""
        step = self._clock.adjust()
        if abs(step) > LOGGED_FROM:
            self._log.warning("wall clock adjusted", seconds=round(step, 3))
