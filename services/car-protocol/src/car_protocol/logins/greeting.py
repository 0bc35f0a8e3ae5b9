"""What a greeting consists of: of what is stored, what waits to be and what has been heard, that which is news. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from car_protocol.rooms.hub import Unheard, code_of
from ovms.db.logins import StoredMessage

# What the reference answers for a car that never sent anything: the largest TIME that MySQL knows. Apps want an integer.
NEVER: Final = 3020399

LATEST: Final = 2.0
"""Seconds that what a car says may take until it is heard at another replica, whose clock may differ."""

_FIRST: Final = b"SF"

Messages = Mapping[int, StoredMessage]
"""The newest message of each code."""


class Known(NamedTuple):
    """What somebody has heard of a code: the hashes of the last states, and the Unix time of the newest."""

    states: Sequence[int]
    at: float


def is_news(message: bytes, heard: Mapping[int, Known], messages: Messages) -> bool:
    """Whether somebody has neither heard this, nor what is later.

    PostgreSQL may be behind what was heard, where the car's replica hangs with what it has not written.
    """
    code = code_of(message)
    former, kept = heard.get(code), messages.get(code)
    if former is None or kept is None:
        return True
    return hash(message) not in former.states and kept.received_at > former.at - LATEST


def is_old(message: bytes, heard: Mapping[int, Known], messages: Messages) -> bool:
    """Whether somebody has heard what is later."""
    former = heard.get(code_of(message))
    return former is not None and hash(message) != former.states[-1] and not is_news(message, heard, messages)


def later(unheard: Unheard) -> list[bytes]:
    """What is left to tell of what he has not heard: of each code, what came after that which he has been told."""
    states = unheard.states()
    last = {state[0]: index for index, state in enumerate(states)}

    def is_told(index: int, message: bytes) -> bool:
        kept = unheard.told.get(code_of(message))
        if kept is None:
            return False
        # What is not among it was said before he heard his car; or he has missed it, and it is later than all of it.
        end = len(states) if kept.received_at >= unheard.since else -1
        return index <= last.get(wire(kept), end)

    return [message for index, state in enumerate(states) if not is_told(index, state[0]) for message in state]


def until(stored: Messages, session: int, number: float) -> Messages:
    """Return the messages of former sessions, and those of this session up to a number."""
    return {code: kept for code, kept in stored.items() if (kept.epoch, kept.number) <= (session, number)}


def newest(stored: Messages, unwritten: Messages) -> dict[int, StoredMessage]:
    """What was stored and what waits to be, by code: of both, what waits, unless a later session has been elsewhere."""
    return dict(stored) | {
        code: kept for code, kept in unwritten.items() if code not in stored or stored[code].epoch <= kept.epoch
    }


def readable(messages: Messages, paranoid_token: str) -> Messages:
    """Those that an app can open."""
    return {code: kept for code, kept in messages.items() if kept.sealed_with in (None, paranoid_token)}


def wire(kept: StoredMessage) -> bytes:
    """A message as an app gets it."""
    return b"EM" + kept.message if kept.sealed_with is not None else kept.message


def greeting(paranoid_token: str, newest: Messages, wall: float, *, has_car: bool) -> list[bytes]:
    """What greets an app or a batch client.

    `F` and `S` come first: an app needs the units of S to read D and L. The name of the key of paranoid mode comes once, before
    the first message that is sealed with it; what is sealed with another can be opened by no app.
    """
    kept = readable(newest, paranoid_token)
    messages = [b"Z1" if has_car else b"Z0"]
    token_told = not paranoid_token
    for code in sorted(kept, key=lambda code: (_FIRST.find(code) * -1, code)):
        if kept[code].sealed_with is not None and not token_told:
            messages.append(b"ET" + paranoid_token.encode())
            token_told = True
        messages.append(wire(kept[code]))
    last = max((one.received_at for one in kept.values()), default=None)
    messages.append(b"T%d" % (NEVER if last is None else max(0, int(wall - last))))
    return messages
