"""Commands that apps give over protocol v2, for the trails of the vehicles' owners: their numbers alone, a moment later."""

import asyncio
from typing import Final

import asyncpg
import structlog

from ovms.db.audit import record_commands
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import sleep_unless_cancelled

TICK: Final = 1.0
MOST: Final = 10_000
"""That are not written yet; more are not told of."""

Given = tuple[int, int | None, float]
"""The vehicle's key, the command's number (None: it is sealed), the Unix time."""


class Trail:
    """Adds up what apps do, and writes it in one go."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._given: list[Given] = []
        self._writing = asyncio.Lock()
        self._log = structlog.get_logger("trail")

    def note(self, vehicle: int, number: int | None, at: float) -> None:
        """An app has given a command."""
        if len(self._given) < MOST:
            self._given.append((vehicle, number, at))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await sleep_unless_cancelled(TICK)
            await self.write()

    async def write(self) -> None:
        """Write what is noted; it stays noted where PostgreSQL is away."""
        async with self._writing:
            given, self._given = self._given, []
            if not given:
                return
            try:
                await record_commands(self._pool, given)
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                report_outage(self._log, POSTGRESQL, "the audit log is written later", error)
                self._given = [*given, *self._given][:MOST]

    async def close(self) -> None:
        """Write the last, and wait for what is being written."""
        await self.write()
