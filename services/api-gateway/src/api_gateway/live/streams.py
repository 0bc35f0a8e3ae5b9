"""How many streams are open, and their end when the service stops."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import ServiceUnavailable
from api_gateway.live.hub import Hub
from api_gateway.live.inbox import Ending, Inbox
from api_gateway.v1.errors import TooManyStreams

PLACES_A_STRANGER: Final = 10
"""So many streams for one of somebody unknown: passers-by who say nothing must not keep callers out."""
GOING_AWAY: Final = Ending("The server is going away", 1001)


class _Credential(NamedTuple):
    owner_id: int
    token: str | None


class Streams:
    """The open streams of this process.

    Args:
        most: streams.
        most_of_caller: streams of one password, or of one API token.
    """

    def __init__(self, hub: Hub, *, most: int, most_of_caller: int) -> None:
        self._hub = hub
        self.most = most
        self._most_of_caller = most_of_caller
        self._most_unknown = max(1, most // PLACES_A_STRANGER)
        self._open: set[Inbox] = set()
        self._unknown = 0
        self._of_caller: Counter[_Credential] = Counter()
        self.is_draining = False

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    @contextmanager
    def opened(self, caller: Caller, known_until: float | None) -> Iterator[Inbox]:
        """A stream while the block runs: its inbox.

        Raises:
            ServiceUnavailable: there are too many, or no more are to come.
            TooManyStreams: the caller has too many.
        """
        credential = _Credential(caller.login.owner_id, caller.login.token)
        self._check_room()
        if self._of_caller[credential] >= self._most_of_caller:
            raise TooManyStreams
        inbox = self._hub.inbox(known_until)
        self._open.add(inbox)
        self._of_caller[credential] += 1
        try:
            yield inbox
        finally:
            self._open.discard(inbox)
            self._of_caller[credential] -= 1
            if not self._of_caller[credential]:
                del self._of_caller[credential]

    @contextmanager
    def unknown(self) -> Iterator[None]:
        """Somebody who has not said yet who he is, while the block runs.

        Raises:
            ServiceUnavailable: there are too many of them, or no more are to come.
        """
        self._check_room()
        if self._unknown >= self._most_unknown:
            raise ServiceUnavailable
        self._unknown += 1
        try:
            yield
        finally:
            self._unknown -= 1

    def _check_room(self) -> None:
        if self.is_draining or len(self._open) + self._unknown >= self.most:
            raise ServiceUnavailable

    def drain(self) -> None:
        """End all, and open no more."""
        self.is_draining = True
        for inbox in self._open:
            inbox.end(GOING_AWAY)
