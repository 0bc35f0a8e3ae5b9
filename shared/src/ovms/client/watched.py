"""A vehicle while it is watched: what its events have told so far."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from ovms.client.shown import plain, vehicle_view
from ovms.client.stream import Event

MOST_NOTES: Final = 5


class Watched:
    """Takes events, and shows what they add up to."""

    def __init__(self, vehicle_id: str, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._vehicle: dict[str, Any] = {"id": vehicle_id, "connected": False, "apps": 0}
        self._records: dict[str, dict[str, Any]] = {}
        self._sealed: set[str] = set()
        self._notes = deque[Text](maxlen=MOST_NOTES)
        self.trouble = ""
        """What keeps news away; empty: nothing does."""

    def take(self, event: Event) -> None:
        """Learn what an event tells; one of a kind that is not known tells nothing."""
        data = event.data
        match event.kind:
            case "state" if data.get("sealed"):
                self._sealed.add(data["code"])
                self._records.pop(data["code"], None)
            case "state":
                self._sealed.discard(data["code"])
                self._records[data["code"]] = data
            case "presence":
                self._vehicle |= {"connected": data["connected"], "apps": data["apps"]}
            case "notification":
                self._note(data["received_at"], data["type"], data["text"])
            case "command":
                self._note(data["created_at"], f"command {data['kind']}", data["state"])

    def render(self) -> RenderableType:
        """All of it."""
        shown = vehicle_view(self._vehicle, self._records, self._sealed, self._clock())
        trouble = [Text(self.trouble, style="red")] if self.trouble else []
        return Group(shown, *self._notes, *trouble)

    def _note(self, at: str, what: str, text: str) -> None:
        self._notes.append(Text.assemble((at[:19].replace("T", " "), "dim"), " ", plain(f"{what}: {text}")))
