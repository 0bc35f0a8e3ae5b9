"""History records that wait for their acknowledgement, sent as firmware sends them: again after ten seconds, five at once."""

from dataclasses import dataclass
from typing import Final

AGAIN_AFTER: Final = 10.0
AT_ONCE: Final = 5
MOST: Final = 100
"""The oldest go where no server has taken that many."""


@dataclass(slots=True)
class Waiting:
    """A record: `<type>,<number>,<lifetime>,<data>`."""

    text: str
    made: float
    sent: float | None = None


class Outbox:
    """Records by the codes of their acknowledgements."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._last_code = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, text: str, now: float) -> None:
        """Send a record, soon and until it is acknowledged."""
        self._last_code += 1
        self._waiting[self._last_code] = Waiting(text, now)
        if len(self._waiting) > MOST:
            del self._waiting[next(iter(self._waiting))]

    def reconnected(self) -> None:
        """The connection is a new one: whatever waits may go at once."""
        for record in self._waiting.values():
            record.sent = None

    def due(self, now: float) -> list[bytes]:
        """The `h` messages to send now."""
        due = [
            (code, record) for code, record in self._waiting.items() if record.sent is None or now - record.sent >= AGAIN_AFTER
        ][:AT_ONCE]
        for _, record in due:
            record.sent = now
        return [f"h{code},{-int(now - record.made)},{record.text}".encode() for code, record in due]

    def acknowledge(self, code: str) -> None:
        """The server has a record for good; a code that is unknown changes nothing."""
        if code.isascii() and code.isdigit():
            self._waiting.pop(int(code), None)
