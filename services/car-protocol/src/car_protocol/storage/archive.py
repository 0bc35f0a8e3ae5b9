"""Answers the commands about what is kept here: traffic (30), history summary (31) and history records (32).

An answer can be long, and who asked may read slowly: it is sent line by line as it is read, by a task of its own, and what has
no bound, records, is read from PostgreSQL a page at a time.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from car_protocol.rooms.hub import Peer, Room
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.legacy_history import count_records, find_spellings, read_page, summarise
from ovms.db.traffic import read_traffic
from ovms.stopping import end_tasks
from ovms.times import read_since, write_time

SUMMARY: Final = 31
RECORDS: Final = 32
TRAFFIC_DAYS: Final = 90
AT_ONCE: Final = 100
"""Lines that are sent before everybody else has a turn."""


class Archive:
    """Reads for apps.

    Args:
        most: how many may be answered at once; more are told to come again.
    """

    def __init__(self, pool: Pool, *, most: int = 8) -> None:
        self._pool = pool
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("archive")

    def ask(self, room: Room, peer: Peer, number: int, arguments: bytes, now: float) -> None:
        """Answer a command, soon."""
        if len(self._tasks) >= self._most:
            peer.send(b"c%d,1,Server is busy" % number, now)
            return
        task = self._loop.create_task(self._answer(room, peer, number, arguments.decode("utf-8", "replace")))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Answer no more."""
        await end_tasks(self._tasks)

    async def _answer(self, room: Room, peer: Peer, number: int, arguments: str) -> None:
        try:
            if number == RECORDS:
                record_type, _, since = arguments.partition(",")
                await self._send_records(room, peer, record_type, read_since(since))
            elif number == SUMMARY:
                await self._send(peer, await self._summary(room, read_since(arguments)))
            else:
                await self._send(peer, await self._traffic(room))
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            self._log.warning("a history command fails", command=number, reason=type(error).__name__)
            peer.send(b"c%d,1,Database is not available" % number, self._loop.time())

    async def _send(self, peer: Peer, lines: Sequence[bytes]) -> None:
        for index, line in enumerate(lines):
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)
            await peer.has_read()
            peer.send(line, self._loop.time())

    async def _traffic(self, room: Room) -> list[bytes]:
        days = await read_traffic(self._pool, room.vehicle, days=TRAFFIC_DAYS)
        lines = [
            f"c30,0,{index},{len(days)},{day.day},{day.car_received},{day.car_sent},{day.apps_received},{day.apps_sent}".encode()
            for index, day in enumerate(days, 1)
        ]
        return lines or [b"c30,1,No GPRS utilisation data available"]

    async def _summary(self, room: Room, since: datetime) -> list[bytes]:
        found = await summarise(self._pool, room.vehicle, room.vehicle_id, since)
        lines = [
            f"c31,0,{index},{len(found)},{kind.record_type},{kind.distinct_numbers},{kind.records},{kind.size},"
            f"{write_time(kind.first)},{write_time(kind.last)}".encode()
            for index, kind in enumerate(found, 1)
        ]
        return lines or [b"c31,1,No historical data available"]

    async def _send_records(self, room: Room, peer: Peer, record_type: str, since: datetime) -> None:
        spellings = await find_spellings(self._pool, room.vehicle, record_type)
        count = await count_records(self._pool, room.vehicle, spellings, since)
        if not count:
            await self._send(peer, [b"c32,1,No historical data available"])
        sent, last = 0, None
        while sent < count and peer in room.watchers:
            page = await read_page(self._pool, room.vehicle, spellings, since, last)
            if not page:
                return  # some have expired meanwhile
            lines = [
                f"c32,0,{index},{count},{one.record_type},{write_time(one.recorded_at)},{one.number},".encode() + one.data
                for index, one in enumerate(page[: count - sent], sent + 1)
            ]
            await self._send(peer, lines)
            sent, last = sent + len(page), page[-1]
