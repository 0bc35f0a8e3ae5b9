"""Clocks that stand where a test puts them."""

from dataclasses import dataclass

from car_protocol.wall_clock import WallClock


@dataclass
class FakeClocks:
    """The loop's clock and the system's, each of which a test may move."""

    monotonic: float = 0.0
    system: float = 0.0

    def wall_clock(self) -> WallClock:
        """A wall clock that was made at this moment."""
        return WallClock(lambda: self.monotonic, lambda: self.system)


def wall_clock(offset: float) -> WallClock:
    """A wall clock that stays this far from the loop's."""
    return FakeClocks(system=offset).wall_clock()
