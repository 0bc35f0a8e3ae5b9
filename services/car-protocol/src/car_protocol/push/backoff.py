"""How long to wait before a notification is tried again."""

import math
from typing import Final

FIRST: Final = 5.0
FACTOR: Final = 4.0
LONGEST: Final = 7200.0
"""Eight attempts reach over some four hours."""


def wait_after(attempts: int, jitter: float, retry_after: float = 0.0) -> float:
    """Seconds to wait after so many attempts.

    Args:
        attempts: made so far, at least one.
        jitter: in [0, 1): what spreads attempts that failed together, over half of the time.
        retry_after: what the service asked for; bounded, since a service may ask for anything.
    """
    longest = min(FIRST * math.pow(FACTOR, min(attempts, 32) - 1), LONGEST)
    return max(longest * (1 + jitter) / 2, min(retry_after, LONGEST))
