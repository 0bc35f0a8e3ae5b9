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


class Written(NamedTuple):
    """The answer: all that was not in it then; what else had come before is in PostgreSQL now."""

    question: int
    at: float
    """The Unix time until which it tells: what the car has said since is told on the messages channel, after this."""
    paranoid_token: str | None
    """The name of the car's key, empty outside paranoid mode; None where the replica does not know it."""
    messages: tuple[Kept, ...]


Word: TypeAlias = ToCar | ToPeer | Unwritten | Written

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


def written(question: int, at: float, paranoid_token: str | None, messages: Iterable[Kept]) -> bytes:
    """The body of its answer."""
    told = {"at": at, "token": paranoid_token, "messages": [(kept.message.decode("latin-1"), *kept[1:]) for kept in messages]}
    return b"%b %d %b" % (_WRITTEN, question, json.dumps(told).encode())


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
        at, token = answer["at"], answer["token"]
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no answer of a replica: {error!r}") from None
    if not isinstance(at, int | float) or not isinstance(token, str | None):
        raise ValueError("no answer of a replica: the time or the token is none")
    return Written(question, at, token, kept)


def _kept(text: str, received_at: float, sealed_with: str | None, session: int) -> Kept:
    types = isinstance(received_at, int | float), isinstance(sealed_with, str | None), isinstance(session, int)
    if not text or not all(types):
        raise ValueError("no answer of a replica: a message is none")
    return Kept(text.encode("latin-1"), received_at, sealed_with, session)
