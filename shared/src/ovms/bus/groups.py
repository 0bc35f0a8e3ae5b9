"""What goes over a group's channel: updates of cars, and questions for the newest ones. `interface` declares them."""

from typing import Final, NamedTuple, TypeAlias

from ovms.bus.replicas import Address

_UPDATE: Final = b"update"
_ASK: Final = b"ask"


class Update(NamedTuple):
    """A car's newest update."""

    replica: str
    message: bytes


class Ask(NamedTuple):
    """A peer that wants all newest updates."""

    asker: Address


GroupWord: TypeAlias = Update | Ask


def update(replica: str, message: bytes) -> bytes:
    """The body of an update."""
    return b"%b %b %b" % (_UPDATE, replica.encode(), message)


def ask(asker: Address) -> bytes:
    """The body of a question for the newest updates."""
    return b"%b %b %d" % (_ASK, asker.replica.encode(), asker.peer)


def read_group(body: bytes) -> GroupWord:
    """Read a body.

    Raises:
        ValueError: it is none of these.
    """
    word, _, rest = body.partition(b" ")
    if word == _UPDATE:
        replica, message = rest.split(b" ", 1)
        return Update(replica.decode(), message)
    if word == _ASK:
        replica, peer = rest.split(b" ", 1)
        return Ask(Address(replica.decode(), int(peer)))
    raise ValueError(f"no message of a group's channel: {word[:20]!r}")
