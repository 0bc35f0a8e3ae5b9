"""Counts the bytes that cars and apps send and are sent, a day and vehicle: command 30 tells owners what a SIM card carried.

A connection only adds up; once a minute the sums are taken and added to the history, as the reference keeps them: record type
`*-OVM-Utilisation`, the time a day's midnight, numbers 0 to 3.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import asyncpg
import structlog

from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.traffic import CAR_RECEIVED, add_traffic
from ovms.identity import Role

EVERY: Final = 60.0
DAY: Final = 86_400

_FIRST_NUMBER: Final = {Role.CAR: CAR_RECEIVED, Role.APP: CAR_RECEIVED + 2}
"""Batch clients do not count, as in the reference."""


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

    def __init__(self, pool: Pool, connections: Callable[[], Iterable[Counted]], wall: Callable[[], float], days: int) -> None:
        self._pool = pool
        self._connections = connections
        self._wall = wall
        self._days = days
        self._sums: dict[tuple[int, int, int], int] = {}
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
                self._sums[vehicle, day, number] = self._sums.get((vehicle, day, number), 0) + size

    async def run(self) -> None:
        """Write once a minute, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.write()

    async def write(self) -> None:
        """Write all that was added up; while PostgreSQL is away it is kept."""
        for connection in self._connections():
            connection.take_traffic()
        if not self._sums:
            return
        sums, self._sums = self._sums, {}
        try:
            await add_traffic(self._pool, [(*key, size) for key, size in sums.items()], days=self._days)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            self._log.warning("traffic is written later", reason=type(error).__name__)
            for key, size in sums.items():
                self._sums[key] = self._sums.get(key, 0) + size
