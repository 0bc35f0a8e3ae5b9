"""What a car's module remembers from one connection to the next: its states, and the records that wait. Pure."""

from dataclasses import dataclass
from typing import Final

from chaos.checks import record_data, state_data
from chaos.evidence import RECORD_TYPE

CODES: Final = "SDL"
"""Sent all the time."""
SELDOM: Final = "V"
"""Sent once a session: what is stored of it must outlive every older session."""
AGAIN_AFTER: Final = 4.0
"""The firmware sends again after 10 s what is not acknowledged; a run is short."""
AT_ONCE: Final = 5
LIFETIME: Final = 86_400


@dataclass(slots=True)
class Record:
    """A history record until it is acknowledged."""

    number: int
    made_at: float
    sent_at: float | None = None


class Module:
    """Every method takes the time, where it needs one, and returns messages to send.

    Args:
        first: the first number of its states and records, so that no two modules of a vehicle use the same.
    """

    def __init__(self, vehicle: str, first: int = 0) -> None:
        self.vehicle = vehicle
        self.newest: dict[str, int] = {}
        """The number of the last state of each code."""
        self._number = first
        self._records = first
        self._waiting: dict[int, Record] = {}

    def state(self, code: str, socket: int) -> bytes:
        """A new state, to be sent on this socket."""
        self._number += 1
        self.newest[code] = self._number
        return code.encode() + state_data(self._number, socket, self.vehicle, code)

    def make_record(self, now: float) -> int:
        """A new record waits; its number."""
        self._records += 1
        self._waiting[self._records] = Record(self._records, now)
        return self._records

    def reconnected(self) -> None:
        """The connection is a new one: whatever waits may go at once."""
        for record in self._waiting.values():
            record.sent_at = None

    def records_due(self, now: float) -> list[bytes]:
        """The records to send now, their time differences as they are now."""
        due = [record for record in self._waiting.values() if record.sent_at is None or now - record.sent_at >= AGAIN_AFTER][
            :AT_ONCE
        ]
        for record in due:
            record.sent_at = now
        return [self._message(record, now) for record in due]

    def acknowledge(self, number: int) -> bool:
        """The server has a record for good; whether it was waited for."""
        return self._waiting.pop(number, None) is not None

    def _message(self, record: Record, now: float) -> bytes:
        age, data = int(now - record.made_at), record_data(record.number, self.vehicle).decode()
        return f"h{record.number},{-age},{RECORD_TYPE},{record.number},{LIFETIME},{data}".encode()
