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

        Redis must have been back for a while, also at replicas that hung meanwhile, and so must replicas that hung past their
        lease: they take a new name, and others send commands to the former one until they know it.
        """
        redis = [fault for fault in self._faults if fault.target == REDIS]
        hung = [
            pause
            for pause in self._faults
            if pause.kind == PAUSE
            and (
                (pause.target.startswith("replica") and pause.at - pause.began >= REPLICA_LEASE)
                or any(fault.began <= pause.at and pause.began <= fault.at for fault in redis)
            )
        ]
        return max((fault.at + RECOVERY for fault in redis + hung), default=0.0)

    def extend(self, began: float, seconds: float, parts: Collection[str], *, until: float) -> float:
        """When something that takes so many seconds must be done, where the faults of these parts hold it up."""
        limit = began + seconds
        for fault in sorted((fault for fault in self._faults if fault.target in parts), key=lambda fault: fault.began):
            grace = RECOVERY if fault.target == REDIS else RESUME
            if fault.began <= limit and fault.at + grace >= began:
                limit = max(limit, fault.at + grace)
        held = [hold.seconds for hold in self._held if began <= hold.at <= min(limit, until) + hold.seconds]
        return limit + max(held, default=0.0)
