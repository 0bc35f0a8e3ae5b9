"""What becomes of a command: every step that there is. Pure."""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final


class CommandState(StrEnum):
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
TRANSITIONS: Final[Mapping[tuple[CommandState, Input], CommandState]] = {
    (CommandState.QUEUED, Input.SEND): CommandState.SENT,
    (CommandState.QUEUED, Input.MISS): CommandState.FAILED,
    (CommandState.QUEUED, Input.EXPIRE): CommandState.EXPIRED,
    (CommandState.QUEUED, Input.CANCEL): CommandState.CANCELLED,
    (CommandState.SENT, Input.KEEP): CommandState.QUEUED,
    (CommandState.SENT, Input.MISS): CommandState.FAILED,
    (CommandState.SENT, Input.SUCCEED): CommandState.SUCCEEDED,
    (CommandState.SENT, Input.FAIL): CommandState.FAILED,
    (CommandState.SENT, Input.LACK): CommandState.UNSUPPORTED,
    (CommandState.SENT, Input.LOSE): CommandState.UNKNOWN,
}

OPEN: Final = (CommandState.QUEUED, CommandState.SENT)


def origins(given: Input) -> list[str]:
    """The states in which this can happen."""
    return [str(state) for state, possible in TRANSITIONS if possible is given]


def target(given: Input) -> str:
    """The state that it leads to, from whichever."""
    [state] = {state for (_, possible), state in TRANSITIONS.items() if possible is given}
    return str(state)
