"""What has been told to the readers of this process."""

from collections import Counter
from collections.abc import Callable

from ovms.metrics import Histogram


class Tally:
    """Plain numbers, read when somebody scrapes.

    Args:
        clock: Unix time, as what waits has it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.events: Counter[str] = Counter()
        """By kind."""
        self.seconds = Histogram()
        """From hearing of an event to its reader's socket, of what has waited longest of each write."""

    def told(self, since: float | None) -> None:
        """A write has gone out; what has waited longest of it has done so since a Unix time, if not from before its reader."""
        if since is not None:
            self.seconds.observe(max(0.0, self._clock() - since))
