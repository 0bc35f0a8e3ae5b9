"""What goes over a vehicle's traces channel: of which trace its next message is. `interface` declares it."""

from typing import Final, NamedTuple

_WORD: Final = b"trace"


class Traced(NamedTuple):
    """The message that follows is of a trace."""

    code: int
    parent: str
    """Of W3C Trace Context."""


def traced(code: int, parent: str) -> bytes:
    """The body that comes right before a message with this code."""
    return b"%b %d %b" % (_WORD, code, parent.encode())


def read_traced(body: bytes) -> Traced:
    """Read a body.

    Raises:
        ValueError: it is malformed.
    """
    word, code, parent = body.split(b" ", 2)
    if word != _WORD or int(code) not in range(256):
        raise ValueError("no trace")
    return Traced(int(code), parent.decode("ascii"))
