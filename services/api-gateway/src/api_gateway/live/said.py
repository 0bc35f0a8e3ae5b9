"""What a vehicle's messages channel carries, by the code of the message. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from ovms.bus.messages import read_message
from ovms.sync.versions import Version


@dataclass(frozen=True, slots=True)
class State:
    """A record of the car's state, or one that only its code tells of."""

    code: str
    data: bytes
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """What the car tells its owner."""

    kind: str
    """`A`, `E` or `I`; others may come."""
    text: str
    """Its lines end in LF, where the wire has CR."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is sealed with another key can be opened by no app any more."""

    token: str


@dataclass(frozen=True, slots=True)
class Position:
    """Some messages up to the version may have been dropped."""


Said: TypeAlias = State | Notification | Key | Position | None


def read_said(body: bytes) -> tuple[Version, Said]:
    """Read a body: the version, and the message, None where it is not reported: the answer to a command.

    Raises:
        ValueError: it has no version.
    """
    version, message = read_message(body)
    return version, _read(message)


def _read(message: bytes) -> Said:
    code, data = message[:1], message[1:]
    if not message:
        return Position()
    if code == b"P":
        text = data[1:].decode("utf-8", "replace")
        return Notification(data[:1].decode("latin-1"), text.replace("\r\n", "\n").replace("\r", "\n"))
    if code == b"E":
        return _read_sealed(data)
    if code == b"c":
        return None
    return State(code.decode("latin-1"), data)


def _read_sealed(data: bytes) -> Said:
    kind, rest = data[:1], data[1:]
    if kind == b"T":
        return Key(rest.decode("utf-8", "replace"))
    if kind == b"M" and rest[:1] not in (b"", b"c"):
        return State(rest[:1].decode("latin-1"), rest[1:], is_sealed=True)
    return None
