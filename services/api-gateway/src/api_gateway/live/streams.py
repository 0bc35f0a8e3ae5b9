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

PART_OF_A_NETWORK: Final = 4
"""One network may have one of so many places of unknown callers."""
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
        self._unknown: Counter[str] = Counter()
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
    def unknown(self, network: str) -> Iterator[None]:
        """A stream whose caller is not known yet, while the block runs.

        Raises:
            ServiceUnavailable: there are too many of them, or of this network, or the service stops.
        """
        self._check_room()
        most = max(1, self._most_unknown // PART_OF_A_NETWORK)
        if self._unknown.total() >= self._most_unknown or self._unknown[network] >= most:
            raise ServiceUnavailable
        self._unknown[network] += 1
        try:
            yield
        finally:
            self._unknown[network] -= 1
            if not self._unknown[network]:
                del self._unknown[network]

    def _check_room(self) -> None:
        if self.is_draining or len(self._open) + self._unknown.total() >= self.most:
            raise ServiceUnavailable

    def drain(self) -> None:
        """End all, and open no more."""
        self.is_draining = True
        for inbox in self._open:
            inbox.end(GOING_AWAY)
