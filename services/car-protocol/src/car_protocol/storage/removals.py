"""Ends the sessions of vehicles that were removed, by whatever program."""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg
import structlog

from car_protocol.rooms.hub import Hub
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.vehicles import find_removed, remove_history
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import raise_if_cancelled

EVERY: Final = 10.0
REASON: Final = "its vehicle was removed"


class Removals:
    """Closes the sessions of removed vehicles: at once where Redis tells of a removal, else every ten seconds."""

    def __init__(self, pool: Pool, hub: Hub) -> None:
        self._pool = pool
        self._hub = hub
        self._ended: list[int] = []
        self._told = asyncio.Event()
        self._log = structlog.get_logger("removals")

    def tell(self, vehicle: int) -> None:
        """Check at once whether a vehicle that has a session here was removed."""
        if self._hub.get(vehicle) is not None:
            self._told.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            raise_if_cancelled()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._told.wait()
            self._told.clear()
            try:
                await self.step()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                report_outage(self._log, POSTGRESQL, "removed vehicles are disconnected later", error)

    async def step(self) -> None:
        """Close the sessions of vehicles that were removed."""
        if self._ended:
            # What was on its way to the history when its vehicle went is there by now, and nothing more comes.
            await remove_history(self._pool, self._ended)
        self._ended = await find_removed(self._pool, [room.vehicle for room in self._hub])
        for vehicle in self._ended:
            if (room := self._hub.get(vehicle)) is not None:
                for peer in (*room.watchers, *([room.car] if room.car is not None else [])):
                    peer.close(REASON)
