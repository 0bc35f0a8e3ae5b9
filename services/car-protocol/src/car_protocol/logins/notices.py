"""Tells an owner once that his car's login fails, and once that it works again, as the reference does."""

from collections.abc import Callable
from typing import Final

MOST_REMEMBERED: Final = 10_000
"""Vehicles whose last login failed; the one that has failed longest is forgotten first, and its owner told once more."""


class LoginNotices:
    """Remembers in this replica alone: where a car fails at several of them, each tells its owner.

    Args:
        notify: takes a vehicle, a notification and the time.
    """

    def __init__(self, notify: Callable[[int, bytes, float], None]) -> None:
        self._notify = notify
        self._failing: dict[int, None] = {}

    def failed(self, vehicle: int, address: str, now: float) -> None:
        """A car has come with a wrong password."""
        if vehicle in self._failing:
            return
        if len(self._failing) >= MOST_REMEMBERED:
            del self._failing[next(iter(self._failing))]
        self._failing[vehicle] = None
        self._notify(vehicle, f"AVehicle authentication failed ({address})".encode(), now)

    def succeeded(self, vehicle: int, address: str, now: float) -> None:
        """A car has come with the right one."""
        if vehicle in self._failing:
            del self._failing[vehicle]
            self._notify(vehicle, f"AVehicle authentication successful ({address})".encode(), now)
