"""The end of a replica that is told to stop: nobody is kept out, nothing is lost, and it takes no longer than it may.

A car whose session ends is back after exactly 10 s, wherever there is a replica, and all would be at once that were let go at
once: so sessions are closed at a rate. Before `MP-S` a car must not be closed at all (see `logins.desk`): who is logging in is
waited for, and then let go like the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from car_protocol.connections.listener import Listener
from car_protocol.server import Closable, Server
from car_protocol.storage.lane import PUT_OFF
from ovms.stopping import end_tasks

STEP: Final = 0.05
LONGEST_STEP: Final = 0.5
"""What a step that took longer makes up for."""
GOODBYE: Final = 1.0
RETRY_AFTER: Final = 0.25

# By when what is to have ended, in parts of all the time there is. The rest is for connections to PostgreSQL and Redis.
LOGINS_BY: Final = 0.25
SESSIONS_BY: Final = 0.7
WRITTEN_BY: Final = 0.8
PARTS_BY: Final = 0.85
LEASE_BY: Final = 0.9
_ONE_WRITE: Final = 0.1

Part = Callable[[], Awaitable[None]]


class Pace:
    """How many sessions to close: `rate` a second, more where all could not be closed by `ends_at` otherwise."""

    def __init__(self, rate: float, *, now: float, ends_at: float) -> None:
        self._rate = rate
        self._ends_at = ends_at
        self._then = now
        self._allowed = rate * STEP

    def due(self, waiting: int, now: float) -> int:
        """How many of those that wait to close now."""
        left = self._ends_at - now
        if left <= STEP:
            return waiting
        self._allowed += max(self._rate, waiting / left) * min(now - self._then, LONGEST_STEP)
        self._then = now
        count = min(waiting, int(self._allowed))
        self._allowed = self._allowed - count if count < waiting else 0.0
        return count


class Drain:
    """The end of a replica.

    Args:
        server: what is to end.
        listener: its ports.
    """

    def __init__(self, server: Server, listener: Listener) -> None:
        self._server = server
        self._listener = listener
        self._began = server.loop.time()
        self._is_written = True
        self._log = structlog.get_logger("drain")

    async def run(self) -> bool:
        """Let nobody in any more, finish the logins in flight, write what waits and let everybody go.

        Returns:
            Whether all has been written; otherwise PostgreSQL did not answer for as long as could be waited.
        """
        await self._listener.end()
        await self._close_sessions()
        await self._close_others()
        return await self._write_everything()

    async def end(self, by: float, *parts: Part) -> None:
        """End parts that have something to finish, together, by a share of the time there is."""
        tasks = [asyncio.ensure_future(part()) for part in parts]
        await asyncio.wait(tasks, timeout=max(0.0, self.at(by) - self._server.loop.time()))
        if late := await end_tasks(tasks):
            self._log.warning("parts did not end in time", count=len(late))
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    def at(self, share: float) -> float:
        """The time at which a share of the time there is has passed."""
        return self._began + share * self._server.settings.drain_timeout

    # ---- connections

    async def _close_sessions(self) -> None:
        settings, time = self._server.settings, self._server.loop.time
        pace = Pace(settings.drain_rate, now=time(), ends_at=self.at(SESSIONS_BY))
        while True:
            await self._acknowledge()
            sessions = self._sessions()
            for session in sessions[: pace.due(len(sessions), time())]:
                session.close("this server stops")
            if not (self._logs_in() or self._sessions()):
                return
            await asyncio.sleep(STEP)

    def _sessions(self) -> Sequence[Closable]:
        return [connection for connection in self._server.connections if connection.is_in_session]

    def _logs_in(self) -> bool:
        return self._server.logs_in and self._server.loop.time() < self.at(LOGINS_BY)

    async def _close_others(self) -> None:
        """Who has not logged in until now; a car among them may have been waiting for PostgreSQL all this time."""
        for connection in list(self._server.connections):
            connection.close("this server stops")
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                while self._server.connections:  # noqa: ASYNC110 (once, at the end of a process)
                    await asyncio.sleep(0.01)

    # ---- rows

    async def _acknowledge(self) -> None:
        """Write what waits, so that cars hear of their history records before they are let go.

        Not while PostgreSQL does not answer: a car sends again elsewhere what it did not hear of.
        """
        if self._is_written:
            self._is_written = await self._write(within=_ONE_WRITE * self._server.settings.drain_timeout)

    async def _write_everything(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self.at(WRITTEN_BY)):
                while not await self._write(within=None):  # noqa: ASYNC110 (it is the database that is waited for)
                    await asyncio.sleep(RETRY_AFTER)
                await self._server.traffic.write()
                return True
        self._log.error("PostgreSQL is away; what waits for it is lost")
        return False

    async def _write(self, *, within: float | None) -> bool:
        # Not under a timeout: a statement that is cancelled waits for PostgreSQL to confirm that, and so would this.
        flush = asyncio.create_task(self._server.recorder.flush())
        flush.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it may end when nobody waits for it
        try:
            await asyncio.wait([flush], timeout=within)
        finally:
            flush.cancel()
        try:
            return flush.done() and flush.result() is None
        except PUT_OFF:
            return False
