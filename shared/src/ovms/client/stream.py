"""Server-Sent Events (HTML's standard, 9.2.6), as far as this server sends them. Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Event(NamedTuple):
    """An event of a vehicle."""

    kind: str
    data: Any
    last_id: str | None
    """What to go on from when the stream breaks behind this event."""


def read_events(lines: Iterable[str], last_id: str | None = None) -> Iterator[Event]:
    """The events of a stream, given as its lines without their ends."""
    kind, data = "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                kind = value
            case "data":
                data.append(value)
            case "id":
                last_id = value
            case "" if not line:
                if data:
                    yield Event(kind or "message", json.loads("\n".join(data)), last_id)
                kind, data = "", []
