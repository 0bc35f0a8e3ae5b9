"""The phases of a view, and every transition between them.

A pair of phase and event that is absent from the table is an error of the caller.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final, NamedTuple


class Phase(Enum):
    """How far a view is."""

    UNSUBSCRIBED = auto()
    """Messages of the car are not received yet."""
    LOCATING = auto()
    """Presence is being read."""
    ASKING = auto()
    """A replica was asked for what it has not committed."""
    READING = auto()
    """PostgreSQL is being read; the answer, if there is a replica, has arrived."""
    LIVE = auto()
    """Complete up to the position."""
    STORED = auto()
    """Complete, and no replica has the car."""
    LOCAL_READING = auto()
    """The car is connected to this replica, and PostgreSQL is being read."""
    LOCAL = auto()
    """Complete, and the car is connected to this replica."""


class Event(Enum):
    """What happens to a view."""

    SUBSCRIBED = auto()
    UNSUBSCRIBED = auto()
    """The subscription was lost."""
    LOCATED = auto()
    """A replica has the car, or had it last and lives."""
    NOT_LOCATED = auto()
    ANSWERED = auto()
    TIMED_OUT = auto()
    UNAVAILABLE = auto()
    """Redis or PostgreSQL did not execute the request."""
    COMPLETE = auto()
    """PostgreSQL was read, and nothing is missing up to the position."""
    COMPLETE_WITHOUT_SESSION = auto()
    INCOMPLETE = auto()
    """PostgreSQL was read, and something has happened since the question."""
    STALE = auto()
    """The result of a request that is no longer open."""
    NEXT = auto()
    """A message with the number after the position."""
    KNOWN = auto()
    """A message that is not later than the position."""
    AHEAD = auto()
    """A message of this session; some before it were not received."""
    LATER_SESSION = auto()
    """A message of a later session than that of the position."""
    CONFIRMED = auto()
    """The car's replica reports a position that is not later than this one."""
    DIVERGED = auto()
    """The car's replica reports a later position."""
    SAME_SESSION = auto()
    """Presence changed, and not the car's session."""
    OTHER_SESSION = auto()
    """Presence reports another session of the car, or none."""
    CHECK = auto()
    """The periodic check."""
    OVERDUE = auto()
    """A watcher has waited for its initial snapshot for a second."""
    CAR_CONNECTED = auto()
    """To this replica."""
    CAR_DISCONNECTED = auto()
    """From this replica."""


class Action(Enum):
    """What a view does in a transition, beside changing its phase."""

    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    LOCATE = auto()
    ASK = auto()
    READ = auto()
    READ_EARLY = auto()
    """Read for a provisional snapshot."""
    SNAPSHOT = auto()
    REPORT_MISSED = auto()
    REPEAT = auto()
    """Note that the question has to be repeated once PostgreSQL was read."""


class Step(NamedTuple):
    """The next phase, and the actions in their order."""

    phase: Phase
    actions: tuple[Action, ...] = ()


_REMOTE: Final = (Phase.UNSUBSCRIBED, Phase.LOCATING, Phase.ASKING, Phase.READING, Phase.LIVE, Phase.STORED)
_SUBSCRIBED: Final = _REMOTE[1:]
_OPEN: Final = (Phase.LOCATING, Phase.ASKING, Phase.READING)
_COMPLETE: Final = (Phase.LIVE, Phase.STORED)
_HERE: Final = (Phase.LOCAL_READING, Phase.LOCAL)
_BEFORE_ANSWER: Final = (Phase.UNSUBSCRIBED, Phase.LOCATING, Phase.ASKING)
_POSITIONED: Final = (Phase.READING, Phase.LIVE)

# Phases, event, next phase (None: the same), actions.
ROWS: Final[Sequence[tuple[Sequence[Phase], Event, Phase | None, tuple[Action, ...]]]] = (
    ((Phase.UNSUBSCRIBED,), Event.SUBSCRIBED, Phase.LOCATING, (Action.LOCATE,)),
    (_SUBSCRIBED, Event.SUBSCRIBED, Phase.LOCATING, (Action.REPORT_MISSED, Action.LOCATE)),
    ((Phase.UNSUBSCRIBED,), Event.UNSUBSCRIBED, None, ()),
    (_SUBSCRIBED, Event.UNSUBSCRIBED, Phase.UNSUBSCRIBED, (Action.REPORT_MISSED,)),
    ((Phase.LOCATING,), Event.LOCATED, Phase.ASKING, (Action.ASK,)),
    ((Phase.LOCATING,), Event.NOT_LOCATED, Phase.READING, (Action.READ,)),
    ((Phase.LOCATING,), Event.UNAVAILABLE, None, (Action.LOCATE,)),
    ((Phase.ASKING,), Event.ANSWERED, Phase.READING, (Action.READ,)),
    ((Phase.ASKING,), Event.TIMED_OUT, Phase.LOCATING, (Action.LOCATE,)),
    ((Phase.READING,), Event.COMPLETE, Phase.LIVE, (Action.SNAPSHOT,)),
    ((Phase.READING,), Event.COMPLETE_WITHOUT_SESSION, Phase.STORED, (Action.SNAPSHOT,)),
    ((Phase.READING,), Event.INCOMPLETE, Phase.LOCATING, (Action.SNAPSHOT, Action.LOCATE)),
    ((Phase.LOCAL_READING,), Event.COMPLETE, Phase.LOCAL, (Action.SNAPSHOT,)),
    ((Phase.READING, Phase.LOCAL_READING), Event.UNAVAILABLE, None, (Action.READ,)),
    (tuple(Phase), Event.STALE, None, ()),
    ((*_POSITIONED, *_HERE), Event.NEXT, None, ()),
    (_POSITIONED, Event.KNOWN, None, ()),
    ((Phase.READING,), Event.AHEAD, None, (Action.REPORT_MISSED, Action.REPEAT)),
    ((Phase.LIVE,), Event.AHEAD, Phase.LOCATING, (Action.REPORT_MISSED, Action.LOCATE)),
    (_BEFORE_ANSWER, Event.LATER_SESSION, None, ()),
    ((Phase.READING,), Event.LATER_SESSION, None, (Action.REPEAT,)),
    ((Phase.LIVE,), Event.LATER_SESSION, Phase.LOCATING, (Action.REPORT_MISSED, Action.LOCATE)),
    ((Phase.STORED,), Event.LATER_SESSION, Phase.LOCATING, (Action.LOCATE,)),
    (_POSITIONED, Event.CONFIRMED, None, ()),
    ((Phase.UNSUBSCRIBED, Phase.LOCATING), Event.DIVERGED, None, ()),
    ((Phase.ASKING, Phase.READING), Event.DIVERGED, None, (Action.REPEAT,)),
    ((Phase.LIVE,), Event.DIVERGED, Phase.LOCATING, (Action.REPORT_MISSED, Action.LOCATE)),
    ((Phase.STORED,), Event.DIVERGED, Phase.LOCATING, (Action.LOCATE,)),
    (tuple(Phase), Event.SAME_SESSION, None, ()),
    ((Phase.UNSUBSCRIBED, *_HERE), Event.OTHER_SESSION, None, ()),
    (_OPEN, Event.OTHER_SESSION, None, (Action.REPEAT,)),
    (_COMPLETE, Event.OTHER_SESSION, Phase.LOCATING, (Action.LOCATE,)),
    ((Phase.UNSUBSCRIBED, *_OPEN, Phase.LOCAL_READING), Event.CHECK, None, ()),
    (_COMPLETE, Event.CHECK, Phase.LOCATING, (Action.LOCATE,)),
    ((Phase.LOCAL,), Event.CHECK, Phase.LOCAL_READING, (Action.READ,)),
    ((Phase.UNSUBSCRIBED, *_OPEN, Phase.LOCAL_READING), Event.OVERDUE, None, (Action.READ_EARLY,)),
    ((*_COMPLETE, Phase.LOCAL), Event.OVERDUE, None, ()),
    (_REMOTE, Event.CAR_CONNECTED, Phase.LOCAL_READING, (Action.UNSUBSCRIBE, Action.READ)),
    (_HERE, Event.CAR_CONNECTED, Phase.LOCAL_READING, (Action.READ,)),
    (_HERE, Event.CAR_DISCONNECTED, Phase.UNSUBSCRIBED, (Action.SUBSCRIBE,)),
)

TRANSITIONS: Final[Mapping[tuple[Phase, Event], Step]] = {
    (phase, event): Step(following or phase, actions) for phases, event, following, actions in ROWS for phase in phases
}
