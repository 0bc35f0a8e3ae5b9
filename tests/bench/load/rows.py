"""What is stored of some cars, over a connection that is open before the clock starts."""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

import asyncpg

from bench.errors import BenchError

PATIENCE: Final = 30.0
LOOK_EVERY: Final = 0.01

_STORED: Final = """
SELECT vehicle_id, code, data FROM messages JOIN vehicles ON vehicles.id = messages.vehicle
WHERE upper(vehicle_id) = ANY($1::text[])
"""

_OF_CODE: Final = "SELECT vehicle, data FROM messages WHERE vehicle = ANY($1::bigint[]) AND code = $2"

_RECORDS: Final = """
SELECT vehicle_id, record_number, data FROM history JOIN vehicles ON vehicles.id = history.vehicle
WHERE upper(vehicle_id) = ANY($1::text[]) AND record_type = $2
"""

_KEYS: Final = "SELECT vehicle_id, id FROM vehicles WHERE upper(vehicle_id) = ANY($1::text[]) ORDER BY id"

_HAS_RECORD: Final = """
SELECT FROM history WHERE record_type = $2 AND record_number = $3
  AND vehicle = (SELECT id FROM vehicles WHERE upper(vehicle_id) = $1)
"""

Stored = Mapping[str, Mapping[str, bytes]]
"""Data by vehicle id and code."""

Records = Mapping[str, Mapping[int, bytes]]
"""Data by vehicle id and number."""

Result = TypeVar("Result")


class Rows:
    """Looks at the tables."""

    def __init__(self, database_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self.run(asyncpg.connect(database_url))

    def run(self, work: Awaitable[Result]) -> Result:
        """Do something with the connection."""
        return self._loop.run_until_complete(work)

    def of_code(self, vehicles: Sequence[int], code: str) -> dict[int, bytes]:
        """The newest message of this code of each of some cars, by their keys."""
        return {row["vehicle"]: row["data"] for row in self.run(self._connection.fetch(_OF_CODE, vehicles, code))}

    def has_record(self, vehicle_id: str, record_type: str, number: int) -> bool:
        """Whether a history record is committed."""
        return bool(self.run(self._connection.fetch(_HAS_RECORD, vehicle_id, record_type, number)))

    def records(self, vehicle_ids: Sequence[str], record_type: str) -> Records:
        """The history records of some cars; of two with one number either."""
        found: dict[str, dict[int, bytes]] = {}
        for vehicle_id, number, data in self.run(self._connection.fetch(_RECORDS, vehicle_ids, record_type)):
            found.setdefault(vehicle_id, {})[number] = data
        return found

    def vehicles(self, vehicle_ids: Sequence[str]) -> dict[str, int]:
        """The keys of some cars."""
        return {row["vehicle_id"]: row["id"] for row in self.run(self._connection.fetch(_KEYS, vehicle_ids))}

    def execute(self, statement: str, *arguments: object) -> None:
        """Write something, and commit it."""
        self.run(self._connection.execute(statement, *arguments))

    def become(self, expected: Stored) -> None:
        """Wait until the newest messages of these cars are what is expected.

        Raises:
            BenchError: they do not become so.
        """
        try:
            self.run(asyncio.wait_for(self._become(expected), PATIENCE))
        except TimeoutError:
            raise BenchError("the rows in PostgreSQL are not what the cars sent last") from None

    def close(self) -> None:
        """Look no more."""
        self.run(self._connection.close())
        self._loop.close()

    async def _become(self, expected: Stored) -> None:
        while await self._stored(list(expected)) != expected:  # noqa: ASYNC110 (PostgreSQL tells of no change)
            await asyncio.sleep(LOOK_EVERY)

    async def _stored(self, vehicle_ids: list[str]) -> Stored:
        stored: dict[str, dict[str, bytes]] = {}
        for vehicle_id, code, data in await self._connection.fetch(_STORED, vehicle_ids):
            stored.setdefault(vehicle_id, {})[code] = data
        return stored


class Watch:
    """Looks which messages of one code are stored of some cars: of all at once, and not too often, since that costs as well."""

    def __init__(self, rows: Rows, vehicle_ids: Sequence[str], code: str) -> None:
        self._rows = rows
        self._code = code
        self._keys = rows.vehicles(vehicle_ids)
        self._stored: Mapping[int, bytes] = {}
        self._next_look = 0.0

    def holds(self, vehicle_id: str, message: bytes) -> bool:
        """Whether a message is the newest of its car."""
        key, now = self._keys[vehicle_id], time.perf_counter()
        if self._stored.get(key) != message[1:] and now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            self._stored = self._rows.of_code(list(self._keys.values()), self._code)
        return self._stored.get(key) == message[1:]
