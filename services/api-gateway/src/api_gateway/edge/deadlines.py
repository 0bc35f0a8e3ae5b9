"""An end to each of many requests, with one timer for all: one of its own is a tenth of what a request costs."""

import asyncio
from types import TracebackType
from typing import Final

from starlette.types import Scope

LOOKS: Final = 25
"""At what runs, in the time that a request has."""

_LIMIT: Final = "ovms.limit"


class Limit:
    """When a request ends, None: not by itself; and what ends it, as an asynchronous context manager."""

    __slots__ = ("_running", "_timeout", "ends_at")

    def __init__(self, running: set["Limit"], ends_at: float) -> None:
        self._running = running
        self._timeout = asyncio.timeout(None)
        self.ends_at: float | None = ends_at

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._running.add(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.discard(self)
        await self._timeout.__aexit__(kind, error, trace)

    def look(self, now: float) -> None:
        """End the request, if it is time."""
        if self.ends_at is not None and self.ends_at <= now and not self._timeout.expired():
            self._timeout.reschedule(now)


class Deadlines:
    """Ends requests that have run for too long, a look late at most.

    Args:
        seconds: that a request has.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: set[Limit] = set()
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, scope: Scope) -> Limit:
        """The limit of a request, to be entered; what ends it is a `TimeoutError`."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / LOOKS, self._look, loop)
        scope[_LIMIT] = limit = Limit(self._running, loop.time() + self._seconds)
        return limit

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for limit in self._running:
            limit.look(now)
        self._timer = loop.call_later(self._seconds / LOOKS, self._look, loop) if self._running else None


def allow_longer(scope: Scope, seconds: float) -> None:
    """Let a request take so many seconds more than others may."""
    limit: Limit = scope[_LIMIT]
    if limit.ends_at is not None:
        limit.ends_at += seconds


def allow_any_time(scope: Scope) -> None:
    """Let a request take as long as it lasts."""
    scope[_LIMIT].ends_at = None
