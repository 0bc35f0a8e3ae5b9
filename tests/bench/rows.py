"""What is stored of some cars, over a connection that is open before the clock starts."""

import asyncio
from collections.abc import Mapping
from typing import Final

import asyncpg

from bench.stack import BenchError

PATIENCE: Final = 30.0
LOOK_EVERY: Final = 0.01

_STORED: Final = """
SELECT vehicle_id, code, data FROM messages JOIN vehicles ON vehicles.id = messages.vehicle
WHERE upper(vehicle_id) = ANY($1::text[])
"""

_ONE: Final = """
SELECT data FROM messages WHERE code = $2 AND vehicle = (SELECT id FROM vehicles WHERE upper(vehicle_id) = $1)
"""

Stored = Mapping[str, Mapping[str, bytes]]
"""Data by vehicle id and code."""


class Rows:
    """Looks at the table of newest messages."""

    def __init__(self, database_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(database_url))

    def holds(self, vehicle_id: str, message: bytes) -> bool:
        """Whether a message is the newest of its car and code."""
        stored = self._connection.fetchval(_ONE, vehicle_id, chr(message[0]))
        return bool(self._loop.run_until_complete(stored) == message[1:])

    def become(self, expected: Stored) -> None:
        """Wait until the newest messages of these cars are what is expected.

        Raises:
            BenchError: they do not become so.
        """
        try:
            self._loop.run_until_complete(asyncio.wait_for(self._become(expected), PATIENCE))
        except TimeoutError:
            raise BenchError("the rows in PostgreSQL are not what the cars sent last") from None

    def close(self) -> None:
        """Look no more."""
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()

    async def _become(self, expected: Stored) -> None:
        while await self._stored(list(expected)) != expected:  # noqa: ASYNC110 (PostgreSQL tells of no change)
            await asyncio.sleep(LOOK_EVERY)

    async def _stored(self, vehicle_ids: list[str]) -> Stored:
        stored: dict[str, dict[str, bytes]] = {}
        for vehicle_id, code, data in await self._connection.fetch(_STORED, vehicle_ids):
            stored.setdefault(vehicle_id, {})[code] = data
        return stored
