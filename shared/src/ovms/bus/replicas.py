"""What goes over a replica's own channel: words that one replica has for one other. `interface` declares them.

A message to a car names the session that it is for: of two replicas that both believe to have the car only one has that
session, so nothing is delivered twice.
"""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias


class Address(NamedTuple):
    """A peer of some replica."""

    replica: str
    peer: int


class ToCar(NamedTuple):
    """A message of an app for the car that has this session."""

    session: int
    vehicle: int
    sender: Address
    message: bytes


class ToPeer(NamedTuple):
    """A message for one peer."""

    peer: int
    message: bytes


class Unwritten(NamedTuple):
    """A question for what is not in PostgreSQL yet."""

    vehicle: int
    replica: str
    question: int


class Kept(NamedTuple):
    """The newest message of a code."""

    message: bytes
    received_at: float
    """Unix time."""
    sealed_with: str | None
    """The name of the key; None: it is not sealed."""
    session: int
    number: int
    """That of the message in the car's session."""


class Written(NamedTuple):
    """The answer: all that was not in it then; what else had come before is in PostgreSQL now. A long one has several parts."""

    question: int
    session: int
    """That of the car, 0 where it is not connected there."""
    number: int
    """That of the last message of the session: what the car has sent since is on the messages channel, after this."""
    paranoid_token: str | None
    """The name of the car's key, empty outside paranoid mode; None where the replica does not know it."""
    messages: tuple[Kept, ...]
    parts: int = 1
    """How many parts the answer has; each has some of the messages, and all else is equal in all of them."""


class Parts:
    """The parts of one answer; they may arrive in any order."""

    def __init__(self) -> None:
        self._parts: list[Written] = []

    def add(self, part: Written) -> Written | None:
        """Add a part; return the whole answer with the last one."""
        self._parts.append(part)
        if len(self._parts) < part.parts:
            return None
        return part._replace(messages=tuple(kept for one in self._parts for kept in one.messages), parts=1)


Word: TypeAlias = ToCar | ToPeer | Unwritten | Written

LONGEST_PART: Final = 256 * 1024
"""Bytes of a part of an answer, unless it has a single message: the JSON of one takes up to six times its bytes."""
_BESIDE: Final = 2048
"""Bytes that suffice for all that a part has beside the messages."""

_CAR: Final = b"car"
_PEER: Final = b"peer"
_UNWRITTEN: Final = b"unwritten"
_WRITTEN: Final = b"written"


def to_car(session: int, vehicle: int, sender: Address, message: bytes) -> bytes:
    """The body of a message for a car."""
    return b"%b %d %d %b %d %b" % (_CAR, session, vehicle, sender.replica.encode(), sender.peer, message)


def to_peer(peer: int, message: bytes) -> bytes:
    """The body of a message for a peer."""
    return b"%b %d %b" % (_PEER, peer, message)


def unwritten(vehicle: int, replica: str, question: int) -> bytes:
    """The body of a question for what is not written."""
    return b"%b %d %b %d" % (_UNWRITTEN, vehicle, replica.encode(), question)


def written(question: int, session: int, number: int, paranoid_token: str | None, messages: Iterable[Kept]) -> list[bytes]:
    """Return the bodies of its answer."""
    parts: list[list[str]] = [[]]
    size = _BESIDE
    for kept in messages:
        text = json.dumps((kept.message.decode("latin-1"), *kept[1:]))
        size += len(text) + 2
        if size > LONGEST_PART and parts[-1]:
            parts.append([])
            size = _BESIDE + len(text)
        parts[-1].append(text)
    position = json.dumps({"session": session, "number": number, "token": paranoid_token, "parts": len(parts)})[:-1]
    return [
        b'%b %d %b, "messages": [%b]}' % (_WRITTEN, question, position.encode(), ", ".join(part).encode()) for part in parts
    ]


def read_word(body: bytes) -> Word:
    """Read a body.

    Raises:
        ValueError: it is none of these.
    """
    word, _, rest = body.partition(b" ")
    if word == _CAR:
        session, vehicle, replica, peer, message = rest.split(b" ", 4)
        return ToCar(int(session), int(vehicle), Address(replica.decode(), int(peer)), message)
    if word == _PEER:
        peer, message = rest.split(b" ", 1)
        return ToPeer(int(peer), message)
    if word == _UNWRITTEN:
        vehicle, replica, question = rest.split(b" ", 2)
        return Unwritten(int(vehicle), replica.decode(), int(question))
    if word == _WRITTEN:
        question, told = rest.split(b" ", 1)
        return _written(int(question), told)
    raise ValueError(f"no word between replicas: {word[:20]!r}")


def _written(question: int, told: bytes) -> Written:
    try:
        answer = json.loads(told)
        kept = tuple(_kept(*fields) for fields in answer["messages"])
        position, token = [answer[name] for name in ("session", "number", "parts")], answer["token"]
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no answer of a replica: {error!r}") from None
    if not all(isinstance(value, int) for value in position) or not isinstance(token, str | None):
        raise ValueError("no answer of a replica: session, number, parts or token is of another type")
    session, number, parts = position
    return Written(question, session, number, token, kept, parts)


def _kept(text: str, received_at: float, sealed_with: str | None, session: int, number: int) -> Kept:
    types = isinstance(received_at, int | float), isinstance(sealed_with, str | None)
    if not text or not all(types) or not (isinstance(session, int) and isinstance(number, int)):
        raise ValueError("no answer of a replica: a message is none")
    return Kept(text.encode("latin-1"), received_at, sealed_with, session, number)
