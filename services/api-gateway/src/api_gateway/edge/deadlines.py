"""An end to each of many requests, with one timer for all: one of its own is a tenth of what a request costs."""

import asyncio
from types import TracebackType
from typing import Any, Final

from starlette.types import Scope

LOOKS: Final = 25
"""At what runs, in the time that a request has."""

_LIMIT: Final = "ovms.limit"


class Limit:
    """When a request ends, None: not by itself; and what ends it, as a context manager: `asyncio.timeout` without a timer.

    Each is for one task alone, which it cancels, and which takes that back (see `asyncio.Task.uncancel`).
    """

    __slots__ = ("_has_ended_it", "_running", "_task", "ends_at")

    _task: asyncio.Task[Any]

    def __init__(self, running: set["Limit"], ends_at: float) -> None:
        self._running = running
        self._has_ended_it = False
        self.ends_at: float | None = ends_at

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._running.add(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running.discard(self)
        # Whom somebody else has cancelled as well ends as cancelled.
        if self._has_ended_it and not self._task.uncancel() and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def look(self, now: float) -> None:
        """End the request, if it is time."""
        if self.ends_at is not None and self.ends_at <= now and not self._has_ended_it:
            self._has_ended_it = True
            self._task.cancel()


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
