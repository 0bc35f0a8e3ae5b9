"""What a vehicle's messages channel carries, told apart by its code. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from ovms.bus.channels import GAP


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
class Gap:
    """Something was dropped, nobody knows what."""


Said: TypeAlias = State | Notification | Key | Gap | None


def read_said(message: bytes) -> Said:
    """A message of protocol v2 as it is published; None where it is nothing that is told: the answer to a command."""
    code, data = message[:1], message[1:]
    if message == GAP:
        return Gap()
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
