"""State messages that wait to be written to the state history: the last of each vehicle, code and second."""

from collections.abc import Callable
from typing import Final, TypeAlias

from car_protocol.storage.unwritten_history import ROW_COST
from ovms.db.writer import StateValues

MOST_WAITING: Final = 64 * 1024 * 1024
"""Bytes of seconds that are over; further seconds are lost, since no car is held up for its state history."""

_DATA: Final = 2
"""The place of the data among the values of a state's row."""

Second: TypeAlias = dict[int, StateValues]
"""The last message of each key in a second."""


class UnwrittenStateHistory:
    """Collects messages by second. A second is taken when it is over, so that each of its rows is written once.

    Args:
        wall: returns the Unix time of a time of the messages' clock.
    """

    def __init__(self, wall: Callable[[float], float]) -> None:
        self._wall = wall
        self.current: Second = {}
        """Messages of the present second, by key. The caller adds to it, and calls `begin` first where `ends_at` is reached."""
        self.ends_at = 0.0
        """When the present second ends, on the messages' clock; 0: there is none."""
        self._unix_second = 0
        self._over: dict[int, Second] = {}
        self._waiting = 0
        self.lost = 0
        """Rows."""

    def begin(self, now: float) -> None:
        """Begin the second that this time is in, and end the former one."""
        self.end()
        wall = self._wall(now)
        self._unix_second = int(wall)
        self.ends_at = now + self._unix_second + 1 - wall

    def end(self) -> None:
        """End the present second: its messages can be taken, and the next message begins another."""
        if self.current:
            self._keep(self._unix_second, self.current)
        self.current, self.ends_at = {}, 0.0

    def take(self) -> tuple[int, Second] | None:
        """Return a second that is over, as its Unix time and its messages; None if there is none."""
        if not self._over:
            return None
        second = next(iter(self._over))
        return second, self._pop(second)

    def give_back(self, second: int, rows: Second) -> None:
        """Keep a second that was taken and not written."""
        self._keep(second, rows | self._pop(second))

    def _keep(self, second: int, rows: Second) -> None:
        rows = self._pop(second) | rows  # a clock that was set back has a second twice
        size = _size(rows)
        if self._waiting + size > MOST_WAITING:
            self.lost += len(rows)
        else:
            self._waiting += size
            self._over[second] = rows

    def _pop(self, second: int) -> Second:
        rows = self._over.pop(second, {})
        self._waiting -= _size(rows)
        return rows


def _size(rows: Second) -> int:
    return sum([len(row[_DATA]) for row in rows.values()]) + len(rows) * ROW_COST
