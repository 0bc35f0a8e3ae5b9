"""Counts the bytes that cars and apps send and are sent, a day and vehicle: command 30 tells owners what a SIM card carried.

A connection only adds up; once a minute the sums are taken, and a minute later added to the history, as the reference keeps
them: record type `*-OVM-Utilisation`, the time a day's midnight, numbers 0 to 3. So a vehicle has them after a minute at the
earliest: who asks what a car has just recorded is not told of our own count beside it, or not, by chance.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, Protocol, TypeAlias

import asyncpg
import structlog

from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.traffic import CAR_RECEIVED, add_traffic
from ovms.identity import Role
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import sleep_unless_cancelled

EVERY: Final = 60.0
DAY: Final = 86_400

_FIRST_NUMBER: Final = {Role.CAR: CAR_RECEIVED, Role.APP: CAR_RECEIVED + 2}
"""Batch clients do not count, as in the reference."""


Key: TypeAlias = tuple[int, int, int]
"""Vehicle, Unix time of a day's midnight, and record number."""


class Counted(Protocol):
    """A connection that adds up its bytes."""

    def take_traffic(self) -> None:
        """Give what was added up to the meter."""


class TrafficMeter:
    """Adds up bytes and writes the sums.

    Args:
        connections: those that are open.
        wall: the Unix time.
        days: how long a day's sums are kept.
    """

    def __init__(self, pool: Pool, connections: Collection[Counted], wall: Callable[[], float], days: int) -> None:
        self._pool = pool
        self._connections = connections
        self._wall = wall
        self._days = days
        self._sums: Counter[Key] = Counter()
        self._former: Counter[Key] = Counter()
        """Of the minute before."""
        self._log = structlog.get_logger("traffic")

    def add(self, vehicle: int, role: Role, *, received: int, sent: int) -> None:
        """Add what a peer was sent by us (`sent`), and what we got from it (`received`)."""
        first = _FIRST_NUMBER.get(role)
        if first is None:
            return
        day = int(self._wall()) // DAY * DAY
        # The names are the peer's: what we have sent it has received.
        for number, size in ((first, sent), (first + 1, received)):
            if size:
                self._sums[vehicle, day, number] += size

    async def run(self) -> None:
        """Write once a minute, until cancelled."""
        while True:
            await sleep_unless_cancelled(EVERY)
            await self.turn()

    async def turn(self) -> None:
        """Write what was added up before the last turn."""
        former, self._former, self._sums = self._former, self._collected(), Counter()
        await self._write(former)

    async def write(self) -> None:
        """Write all that was added up."""
        former, self._former, sums, self._sums = self._former, Counter(), self._collected(), Counter()
        await self._write(former + sums)

    def _collected(self) -> Counter[Key]:
        for connection in self._connections:
            connection.take_traffic()
        return self._sums

    async def _write(self, sums: Counter[Key]) -> None:
        if not sums:
            return
        try:
            await add_traffic(self._pool, [(*key, size) for key, size in sums.items()], days=self._days)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            report_outage(self._log, POSTGRESQL, "traffic is written later", error)
            self._former += sums
