"""The states of both ends, and every step between them.

All that affects a session's state is here, as data. A pair that is absent from a table is an error: `StateError` where we
asked for the step; the peer cannot ask for one, since what it sends is read by the reader of the present state.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a server's session stands."""

    AWAITING_WELCOME = auto()
    AUTHENTICATING = auto()
    """The welcome was reported; what arrives meanwhile waits."""
    PROVISIONING = auto()
    """A module asked for its configuration; it may log in after the answer."""
    READY = auto()
    CLOSED = auto()


class Input(Enum):
    """What moves a server's session."""

    WELCOME = auto()
    PROVISION = auto()
    ANSWER = auto()
    ACCEPT = auto()
    REJECT = auto()
    SEND = auto()
    FAIL = auto()
    CLOSE = auto()


TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.AWAITING_WELCOME, Input.WELCOME): State.AUTHENTICATING,
    (State.AWAITING_WELCOME, Input.PROVISION): State.PROVISIONING,
    (State.PROVISIONING, Input.ANSWER): State.AWAITING_WELCOME,
    (State.AUTHENTICATING, Input.ACCEPT): State.READY,
    (State.AUTHENTICATING, Input.REJECT): State.CLOSED,
    (State.READY, Input.SEND): State.READY,
    (State.AWAITING_WELCOME, Input.FAIL): State.CLOSED,
    (State.AUTHENTICATING, Input.FAIL): State.CLOSED,
    (State.PROVISIONING, Input.FAIL): State.CLOSED,
    (State.READY, Input.FAIL): State.CLOSED,
    (State.AWAITING_WELCOME, Input.CLOSE): State.CLOSED,
    (State.AUTHENTICATING, Input.CLOSE): State.CLOSED,
    (State.PROVISIONING, Input.CLOSE): State.CLOSED,
    (State.READY, Input.CLOSE): State.CLOSED,
    (State.CLOSED, Input.CLOSE): State.CLOSED,
}


class ClientState(Enum):
    """Where a client's session stands."""

    AWAITING_ANSWER = auto()
    READY = auto()
    CLOSED = auto()


class ClientInput(Enum):
    """What moves a client's session."""

    ANSWER = auto()
    SEND = auto()
    FAIL = auto()
    CLOSE = auto()


CLIENT_TRANSITIONS: Final[Mapping[tuple[ClientState, ClientInput], ClientState]] = {
    (ClientState.AWAITING_ANSWER, ClientInput.ANSWER): ClientState.READY,
    (ClientState.READY, ClientInput.SEND): ClientState.READY,
    (ClientState.AWAITING_ANSWER, ClientInput.FAIL): ClientState.CLOSED,
    (ClientState.READY, ClientInput.FAIL): ClientState.CLOSED,
    (ClientState.AWAITING_ANSWER, ClientInput.CLOSE): ClientState.CLOSED,
    (ClientState.READY, ClientInput.CLOSE): ClientState.CLOSED,
    (ClientState.CLOSED, ClientInput.CLOSE): ClientState.CLOSED,
}
