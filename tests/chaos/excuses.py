"""What the faults of a run excuse. Pure."""

from collections.abc import Collection, Iterable
from typing import Final

from chaos.journal import Event, Faulted, Held
from chaos.plan import DRAIN, KILL, PAUSE, REDIS
from ovms.bus.presence import REPLICA_LEASE

RECOVERY: Final = 5.0
"""Seconds after the return of Redis or PostgreSQL within which everything is as it should be again."""
NOTICE: Final = 0.5
"""Seconds that what happens at a kill may be noted before or after it."""
RESUME: Final = 1.0
"""Seconds after a pause within which a replica has caught up."""


class Excuses:
    """The faults of a journal."""

    def __init__(self, events: Iterable[Event]) -> None:
        events = list(events)
        self._faults = [event for event in events if isinstance(event, Faulted)]
        self._held = [event for event in events if isinstance(event, Held)]

    def killed(self, program: str, began: float, until: float) -> bool:
        """Whether a program was killed in this time."""
        return any(
            fault.kind == KILL and fault.target == program and began - NOTICE <= fault.began <= until for fault in self._faults
        )

    def ended(self, program: str, at: float) -> bool:
        """Whether a program was killed or drained at this time, and not up again yet."""
        return any(
            fault.kind in (KILL, DRAIN) and fault.target == program and fault.began <= at <= fault.at + NOTICE
            for fault in self._faults
        )

    def emptied(self, began: float, until: float) -> bool:
        """Whether Redis has lost everything in this time."""
        return any(
            (fault.kind, fault.target) == (KILL, REDIS) and began <= fault.at and fault.began <= until for fault in self._faults
        )

    def away(self, parts: Collection[str], began: float, until: float) -> bool:
        """Whether a part was away in this time, or had just come back."""
        return any(fault.target in parts and fault.began <= until and began <= fault.at + RECOVERY for fault in self._faults)

    def hung(self, part: str, began: float, until: float) -> bool:
        """Whether a part was paused in this time, or had gone on just before it."""
        return any(
            (fault.kind, fault.target) == (PAUSE, part) and fault.began <= until and began <= fault.at + RESUME
            for fault in self._faults
        )

    def calm_from(self) -> float:
        """Return when commands reach every car again.

        Every part must have run for `RECOVERY` seconds since Redis came back; what hangs does not recover. So must a replica
        that hung past its lease, from when it goes on: it takes a new name, and others send commands to the former one until
        they know it.
        """
        returns = [fault.at for fault in self._faults if fault.target == REDIS]
        pauses: dict[str, list[Faulted]] = {}
        for fault in sorted(self._faults, key=lambda fault: fault.began):
            if fault.kind == PAUSE and fault.target != REDIS:
                pauses.setdefault(fault.target, []).append(fault)
        recovered = [_recovered(back, hung) for back in returns for hung in [[], *pauses.values()]]
        renamed = [
            pause.at + RECOVERY
            for target, hung in pauses.items()
            for pause in hung
            if target.startswith("replica") and pause.at - pause.began >= REPLICA_LEASE
        ]
        return max(recovered + renamed, default=0.0)

    def extend(self, began: float, seconds: float, parts: Collection[str], *, until: float) -> float:
        """When something that takes so many seconds must be done, where the faults of these parts hold it up."""
        limit = began + seconds
        for fault in sorted((fault for fault in self._faults if fault.target in parts), key=lambda fault: fault.began):
            grace = RECOVERY if fault.target == REDIS else RESUME
            if fault.began <= limit and fault.at + grace >= began:
                limit = max(limit, fault.at + grace)
        held = [hold.seconds for hold in self._held if began <= hold.at <= min(limit, until) + hold.seconds]
        return limit + max(held, default=0.0)


def _recovered(back: float, pauses: Iterable[Faulted]) -> float:
    """Return when a part with these pauses, the first to begin first, has run for `RECOVERY` seconds since Redis came back."""
    at = back + RECOVERY
    for pause in pauses:
        if pause.began < at and pause.at > back:
            at += pause.at - max(pause.began, back)
    return at
