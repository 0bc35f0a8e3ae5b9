"""The bytes of requests that are being received, over all connections of a process, with a bound."""

from typing import Final

MOST_HELD: Final = 32 * 1024 * 1024
"""Two thousand requests of the largest size at once; a usual one has a few hundred bytes."""


class HeldBytes:
    """What is held in memory of requests that have not been answered.

    Args:
        most: bytes in all.
    """

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most

    def take(self, size: int) -> bool:
        """Take so many bytes; False where so many are not left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Return bytes that were taken."""
        self._left += size
