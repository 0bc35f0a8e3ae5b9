"""Credentials that were right a moment ago, so that clients that send one with every call stay fast.

Kept under an HMAC with a key of this process's own: nothing here can be tried against a list of passwords elsewhere.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ovms.bus.sessions import Login

LIFETIME: Final = 60.0
CAPACITY: Final = 10_000


class Remembered:
    """The newest `capacity` right credentials, each for `lifetime` seconds. Wrong ones are never kept."""

    def __init__(self, clock: Callable[[], float], *, lifetime: float = LIFETIME, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._logins: OrderedDict[bytes, tuple[float, Login]] = OrderedDict()
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    def mark(self, *parts: str) -> bytes:
        """Under what a credential is kept; its length stands before each part, so no two credentials share one."""
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")

    def find(self, mark: bytes) -> Login | None:
        """Who signed in with this credential within the last `lifetime` seconds."""
        if (kept := self._logins.get(mark)) is None:
            return None
        until, login = kept
        if until > self._clock():
            return login
        del self._logins[mark]
        return None

    def was_right(self, mark: bytes) -> bool:
        """Whether this credential was right once, however long ago: who sends it does not guess."""
        return mark in self._proven

    def keep(self, mark: bytes, login: Login) -> None:
        """Remember a right credential."""
        self._logins[mark] = (self._clock() + self._lifetime, login)
        self._logins.move_to_end(mark)
        self._proven[mark] = None
        self._proven.move_to_end(mark)
        for kept in (self._logins, self._proven):
            if len(kept) > self._capacity:
                kept.popitem(last=False)
