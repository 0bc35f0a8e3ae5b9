"""Says how far a long work is, now and then."""

from collections.abc import Callable
from typing import Final

EVERY: Final = 2.0


class Progress:
    """A line every two seconds.

    Args:
        say: prints a line.
        clock: seconds that only grow.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._said_at = clock()
        self._kind = ""
        self._total = self._done = 0

    def begin(self, kind: str, total: int) -> None:
        """So many rows of a kind are to be done."""
        self._kind, self._total, self._done = kind, total, 0

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if (now := self._clock()) >= self._said_at + EVERY:
            self._said_at = now
            self._say(f"{self._kind}: {self._done} of {self._total} rows, {self._percent} %")

    @property
    def _percent(self) -> int:
        # Rows may be added while they are read.
        return min(100, 100 * self._done // self._total) if self._total else 100
