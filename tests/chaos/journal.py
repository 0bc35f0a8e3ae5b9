"""What happened in a run, as the peers saw it and in the order in which they did. Pure.

Times are seconds of one monotonic clock. A socket has a number of its own, so has a command; a vehicle numbers its records, and
its states across all sockets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar


@dataclass(frozen=True, slots=True)
class Connected:
    """TCP has connected a peer to a replica."""

    at: float
    socket: int
    role: str
    vehicle: str
    replica: str


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The peer was let in."""

    at: float
    socket: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket has ended."""

    at: float
    socket: int
    by_server: bool
    how: str


@dataclass(frozen=True, slots=True)
class StateSent:
    """A car has sent a state."""

    at: float
    socket: int
    code: str
    number: int


@dataclass(frozen=True, slots=True)
class StateHeard:
    """An app was sent a state of a car; `car` is the socket that the car had sent it on."""

    at: float
    socket: int
    code: str
    number: int
    car: int


@dataclass(frozen=True, slots=True)
class StateRead:
    """A gateway has told a state that is stored."""

    began: float
    at: float
    vehicle: str
    code: str
    number: int


@dataclass(frozen=True, slots=True)
class RecordMade:
    """A car has made a history record; `leaves` with a module that does not come back, so it may stay unacknowledged."""

    at: float
    vehicle: str
    number: int
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class RecordAcknowledged:
    """The server has it for good."""

    at: float
    vehicle: str
    number: int


@dataclass(frozen=True, slots=True)
class CommandSent:
    """An app has sent a command to its vehicle."""

    at: float
    socket: int
    command: int


@dataclass(frozen=True, slots=True)
class CommandDelivered:
    """A car has received it."""

    at: float
    socket: int
    command: int


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """An app has received the car's answer."""

    at: float
    socket: int
    command: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A peer was told `Z<count>`."""

    at: float
    socket: int
    count: int


@dataclass(frozen=True, slots=True)
class Called:
    """An HTTP call has ended; status 0 is no answer at all, for the reason in `how`."""

    began: float
    at: float
    caller: str
    gateway: str
    path: str
    status: int
    has_retry_after: bool
    how: str = ""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A gateway has begun to send an event stream of all vehicles of an owner; it has a number as a socket has."""

    at: float
    stream: int
    owner: str
    gateway: str
    vehicles: tuple[str, ...]

    def __str__(self) -> str:
        return f"stream {self.stream} ({self.owner} at {self.gateway})"


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The gateway has ended an event stream, or sends nothing any more."""

    at: float
    stream: int
    how: str


@dataclass(frozen=True, slots=True)
class StateStreamed:
    """An event stream has sent a state of a car."""

    at: float
    stream: int
    vehicle: str
    code: str
    number: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An HTTP caller has a session."""

    at: float
    caller: str


@dataclass(frozen=True, slots=True)
class Watching:
    """An HTTP caller counts as an app of a vehicle, until its session ends."""

    at: float
    caller: str
    vehicle: str


@dataclass(frozen=True, slots=True)
class Faulted:
    """A fault and its end: the part works again, as far as it can tell."""

    began: float
    at: float
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Doubled:
    """A second module logs in as a vehicle from now on: its states have numbers of their own."""

    at: float
    vehicle: str


@dataclass(frozen=True, slots=True)
class Drained:
    """A replica or gateway was asked to end, and has."""

    at: float
    program: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A program has ended that nobody had asked to, or does not get ready."""

    at: float
    program: str
    how: str


@dataclass(frozen=True, slots=True)
class Held:
    """The fleet itself was held up: what is noted now may have happened so many seconds ago."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Settled:
    """All faults have ended and all peers are connected: from now on everything must come right."""

    at: float


@dataclass(frozen=True, slots=True)
class Calm:
    """Redis has been back for so long that every replica has found it: from now on no command is lost."""

    at: float


Event = (
    Connected
    | Welcomed
    | Lost
    | StateSent
    | StateHeard
    | StateRead
    | RecordMade
    | RecordAcknowledged
    | CommandSent
    | CommandDelivered
    | CommandAnswered
    | Counted
    | Called
    | StreamOpened
    | StreamEnded
    | StateStreamed
    | SignedIn
    | Watching
    | Faulted
    | Doubled
    | Drained
    | Ended
    | Held
    | Settled
    | Calm
)
Kind = TypeVar("Kind", bound=Event)

OPEN: Final = float("inf")
"""The end of a socket that has not ended."""


class Journal:
    """The events of a run.

    Args:
        clock: monotonic; events take their time from it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self.events: list[Event] = []
        self._sockets = 0
        self._commands = 0

    def note(self, event: Event) -> None:
        """Something has happened."""
        self.events.append(event)

    def of(self, kind: type[Kind]) -> Iterator[Kind]:
        """The events of one kind, in order."""
        return (event for event in self.events if isinstance(event, kind))

    def new_socket(self) -> int:
        """A number for a socket or an event stream."""
        self._sockets += 1
        return self._sockets

    def new_command(self) -> int:
        """A number for a command."""
        self._commands += 1
        return self._commands
