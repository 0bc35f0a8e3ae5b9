"""A loop with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable


class FakeHandle:
    """A call to come."""

    def __init__(self, when: float, callback: Callable[..., None], arguments: tuple[object, ...]) -> None:
        self.when = when
        self.callback = callback
        self.arguments = arguments


class FakeLoop:
    """What the wheel and the connections need of an event loop."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self.calls: list[FakeHandle] = []

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., None], *arguments: object) -> FakeHandle:
        return self.call_later(0, callback, *arguments)

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: object) -> FakeHandle:
        handle = FakeHandle(self._now + delay, callback, arguments)
        self.calls.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., None], *arguments: object) -> FakeHandle:
        return self.call_later(when - self._now, callback, *arguments)

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due is called at its time."""
        end = self._now + seconds
        while due := [handle for handle in self.calls if handle.when <= end]:
            handle = min(due, key=lambda handle: handle.when)
            self.calls.remove(handle)
            self._now = max(self._now, handle.when)
            handle.callback(*handle.arguments)
        self._now = end
