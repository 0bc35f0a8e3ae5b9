"""What a car's module does with its connection: which messages go out when, and what answers what comes in. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from simulator.commands import answer
from simulator.controls import Controls
from simulator.journey import Journey, Phase
from simulator.outbox import Outbox
from simulator.telemetry import RECORDS, message
from simulator.trip import trip_record

TICK: Final = 1.0
SELDOM: Final = 120.0
"""Seconds between two sendings of a record that hardly changes."""
OFTEN: Final[Mapping[Phase, Mapping[str, float]]] = MappingProxyType(
    {
        Phase.DRIVING: {"L": 3.0, "S": 10.0, "D": 10.0, "Y": 30.0, "W": 30.0},
        Phase.PARKED: {"L": 60.0, "S": 15.0, "D": 15.0},
        Phase.CHARGING: {"L": 60.0, "S": 5.0, "D": 15.0},
    }
)
"""Seconds between two sendings of the others. A real module is slower; a day of this car is shorter."""
CHANGES_WITH_THE_PHASE: Final = ("S", "D", "L")


class Module:
    """The module of a car. Every method takes the time and returns the messages to send."""

    def __init__(self, journey: Journey, controls: Controls) -> None:
        self._journey = journey
        self._controls = controls
        self._outbox = Outbox()
        self._sent: dict[str, float] = {}
        self._watchers = 0
        self._phase = journey.moment().phase

    def logged_in(self, now: float) -> list[bytes]:
        """A connection is up: the server may know nothing."""
        self._watchers = 0
        self._outbox.reconnected()
        self._go_on(now)
        return self._records(RECORDS, now) + self._outbox.due(now)

    def tick(self, now: float) -> list[bytes]:
        """Time has passed; called about every `TICK`, connected or not: what is returned is for a connection only."""
        self._go_on(now)
        messages = []
        if (phase := self._journey.moment().phase) is not self._phase:
            self._phase = phase
            messages += self._records(CHANGES_WITH_THE_PHASE, now)
        often = OFTEN[phase]
        due = [code for code in RECORDS if now - self._sent.get(code, now - SELDOM) >= often.get(code, SELDOM)]
        return messages + self._records(due, now) + self._outbox.due(now)

    def rest(self, now: float) -> None:
        """Time has passed without a connection: the car lives on, its trips wait."""
        self._go_on(now)

    def receive(self, received: bytes, now: float) -> list[bytes]:
        """The server has sent a message."""
        code, data = received[:1], received[1:].decode("utf-8", "replace")
        if code == b"A":
            return [b"a"]
        if code == b"Z":
            return self._count_watchers(data, now)
        if code == b"h":
            self._outbox.acknowledge(data)
        elif code == b"C":
            self._go_on(now)
            return [*answer(data, self._controls, self._journey), *self._records(CHANGES_WITH_THE_PHASE, now)]
        return []

    def _count_watchers(self, data: str, now: float) -> list[bytes]:
        former, self._watchers = self._watchers, int(data) if data.isascii() and data.isdigit() else 0
        if self._watchers <= former:
            return []
        self._go_on(now)
        return self._records(RECORDS, now)

    def _go_on(self, now: float) -> None:
        for trip in self._journey.advance(now):
            self._outbox.add(trip_record(trip), now)

    def _records(self, codes: Iterable[str], now: float) -> list[bytes]:
        moment = self._journey.moment()
        codes = list(codes)
        self._sent.update(dict.fromkeys(codes, now))
        return [message(code, moment, self._controls) for code in codes]
