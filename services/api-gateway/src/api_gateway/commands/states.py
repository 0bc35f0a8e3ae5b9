"""What becomes of a command: every step that there is. Pure."""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final


class State(StrEnum):
    """Where a command stands."""

    QUEUED = auto()
    SENT = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    UNSUPPORTED = auto()
    EXPIRED = auto()
    UNKNOWN = auto()
    CANCELLED = auto()


class Input(StrEnum):
    """What happens to it."""

    SEND = auto()
    """It is the vehicle's turn."""
    KEEP = auto()
    """It was to be sent, and was not: it waits again."""
    MISS = auto()
    """The vehicle is not there, and nobody asked to wait for it."""
    SUCCEED = auto()
    FAIL = auto()
    LACK = auto()
    """The vehicle has no such command."""
    LOSE = auto()
    """The vehicle may have been told, and nothing is heard of it."""
    EXPIRE = auto()
    CANCEL = auto()


# A pair that is absent changes nothing. Nothing leads from `sent` to `sent`: no vehicle is told twice.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.QUEUED, Input.SEND): State.SENT,
    (State.QUEUED, Input.MISS): State.FAILED,
    (State.QUEUED, Input.EXPIRE): State.EXPIRED,
    (State.QUEUED, Input.CANCEL): State.CANCELLED,
    (State.SENT, Input.KEEP): State.QUEUED,
    (State.SENT, Input.MISS): State.FAILED,
    (State.SENT, Input.SUCCEED): State.SUCCEEDED,
    (State.SENT, Input.FAIL): State.FAILED,
    (State.SENT, Input.LACK): State.UNSUPPORTED,
    (State.SENT, Input.LOSE): State.UNKNOWN,
}

OPEN: Final = (State.QUEUED, State.SENT)


def origins(given: Input) -> list[str]:
    """The states in which this can happen."""
    return [str(state) for state, possible in TRANSITIONS if possible is given]


def target(given: Input) -> str:
    """The state that it leads to, from whichever."""
    [state] = {state for (_, possible), state in TRANSITIONS.items() if possible is given}
    return str(state)
