"""What Redis raises, in one place: whatever lists its errors takes them from here."""

from typing import Final

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TooLate

UNAVAILABLE: Final = (LostConnection, TooLate, OSError)
"""Redis cannot be reached, does not answer, or cannot serve now: it is full, read-only, has too many clients, or is not the
primary (`ovms.bus.client` makes a lost connection of these replies). The same command may succeed later."""
FAILURES: Final = (RedisError, OSError)
"""All that a command raises. For what tries again by itself, whatever has happened."""

_NOT_NOW: Final = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY")
"""The first words of replies of a server that is full, a replica, cannot save, or is busy with a script."""


def is_not_now(error: ResponseError) -> bool:
    """Whether a server's reply says that it cannot serve now, as opposed to that the command is wrong."""
    # redis-py takes the first word off the replies that it has a class for, and keeps it beside.
    first_word = error.status_code or str(error).partition(" ")[0]
    return first_word in _NOT_NOW
