"""Until when this replica counts: past that others may have taken its cars over, and it may not know yet."""

import math

from ovms.bus.presence import REPLICA_LEASE


class Lease:
    """What Redis has promised. Before there is any nobody can have taken anything over."""

    def __init__(self) -> None:
        self._ends_at = math.inf

    def renewed(self, asked_at: float) -> None:
        """Redis has been asked at this time of the loop to renew it, and has."""
        self._ends_at = asked_at + REPLICA_LEASE

    def is_over(self, now: float) -> bool:
        """Whether it has run out."""
        return now >= self._ends_at
