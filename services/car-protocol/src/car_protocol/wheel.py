"""Timers of many connections for the price of one: a slot a second, and a connection in the slot of its next timer.

A session's timer only ever moves later while its peer talks, so nothing is done when it does: the slot comes, the session is
asked, and goes into the slot of its new time.
"""

import asyncio
import math
from typing import Final, Protocol

SLOT: Final = 1.0


class Timed(Protocol):
    """Something with a timer."""

    def handle_timer(self, now: float) -> float | None:
        """Do what is due; return the time of the next timer, or None when there is none any more."""


class Wheel:
    """Calls `handle_timer` of whatever was added, at its time or up to a second later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._places: dict[Timed, int] = {}
        self._handle: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, when: float) -> None:
        """Call `timed` at `when`, or at the time for which it was added before if that is earlier."""
        slot = math.ceil(when / SLOT)
        place = self._places.get(timed)
        if place is not None and place <= slot:
            return
        self.remove(timed)
        self._slots.setdefault(slot, set()).add(timed)
        self._places[timed] = slot
        if self._handle is None:
            self._handle = self._loop.call_later(SLOT, self._turn)

    def remove(self, timed: Timed) -> None:
        """Call `timed` no more."""
        place = self._places.pop(timed, None)
        if place is not None:
            self._slots.get(place, set()).discard(timed)

    def _turn(self) -> None:
        now = self._loop.time()
        for slot in [slot for slot in self._slots if slot * SLOT <= now]:
            for timed in self._slots.pop(slot):
                # By itself on the loop: what one of them raises is its own affair.
                self._loop.call_soon(self._call, timed)
        self._handle = self._loop.call_later(SLOT, self._turn) if self._slots else None

    def _call(self, timed: Timed) -> None:
        if self._places.pop(timed, None) is None:
            return  # removed meanwhile
        now = self._loop.time()
        following = timed.handle_timer(now)
        if following is not None:
            self.add(timed, max(following, now + SLOT / 2))
