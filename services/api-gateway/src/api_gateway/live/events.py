"""Events, and how they are written: as Server-Sent Events, and as the text frames of a WebSocket. Pure.

An id is a time, in milliseconds of Unix time, until which its reader has been told everything: so it means the same at every
replica of the gateway. Where that is not so yet an event has none, and the reader keeps the last one that he was given.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson

from ovms.bus.presence import Peers

STATE: Final = "state"
PRESENCE: Final = "presence"
NOTIFICATION: Final = "notification"
COMMAND: Final = "command"
MISSED: Final = "missed"

HEARTBEAT: Final = b":\n\n"

_OPTIONS: Final = orjson.OPT_UTC_Z
_LATEST: Final = 253_402_300_799_999
"""The last millisecond that RFC 3339 can write."""

_TYPES: Final = {"A": "alert", "E": "error", "I": "info"}


class Told(Protocol):
    """What is told."""

    @property
    def kind(self) -> str:
        """Its name."""

    @property
    def data(self) -> bytes:
        """JSON."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is written already."""

    kind: str
    data: bytes


def to_json(value: Any) -> bytes:
    """A value as an event carries it."""
    return orjson.dumps(value, option=_OPTIONS)


def time_of(seconds: float) -> datetime:
    """A Unix time as the API writes it: whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def presence(vehicle_id: str, peers: Peers) -> Event:
    """Who is connected to a vehicle now."""
    told = {"vehicle": vehicle_id, "connected": bool(peers.car), "apps": peers.apps, "batch_clients": peers.batch}
    return Event(PRESENCE, to_json(told))


def notification(vehicle_id: str, kind: str, text: str, received_at: float) -> Event:
    """What a vehicle has told its owner."""
    told = {"vehicle": vehicle_id, "type": _TYPES.get(kind, kind), "text": text, "received_at": time_of(received_at)}
    return Event(NOTIFICATION, to_json(told))


def missed(since: float) -> Event:
    """Notifications and changes of commands may not have been told."""
    return Event(MISSED, to_json({"since": time_of(since)}))


def as_sse(event: Told, until: float | None) -> bytes:
    """An event of an event stream."""
    if until is None:
        return b"event: %b\ndata: %b\n\n" % (event.kind.encode(), event.data)
    return b"event: %b\nid: %d\ndata: %b\n\n" % (event.kind.encode(), until * 1000, event.data)


def as_frame(event: Told, until: float | None) -> str:
    """An event in a text frame."""
    told = b'{"event":"%b","id":%b,"data":%b}' % (
        event.kind.encode(),
        b"null" if until is None else b'"%d"' % (until * 1000),
        event.data,
    )
    return told.decode()


def comment(text: str) -> bytes:
    """A line that programs pass over."""
    return b": " + text.encode() + b"\n\n"


def read_id(text: str | None, now: float) -> float | None:
    """The Unix time of an id; None where it is none of ours, or of a time that has not come: then all is told anew."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(_LATEST)):
        return None
    seconds = int(text) / 1000
    return seconds if seconds <= now else None
