"""Notifies owners who asked for it that their car has been silent for hours, once, and that it is back, once.

Any number of replicas do this at once: a change of a row in PostgreSQL and its notification are one transaction.
"""

from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from car_protocol.notifications.notifier import Notifier
from car_protocol.rooms.hub import Hub
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.silence import note_heard, take_silent
from ovms.db.writer import NotificationRow, write_notifications
from ovms.stopping import sleep_unless_cancelled

EVERY: Final = 60.0
GRACE: Final = 900.0
"""Seconds after the start, and after PostgreSQL was unavailable, without a notice that a car is silent: an outage of this
server is no silence of its cars, and they need some minutes to connect again."""


class SilenceNotices:
    """Looks once a minute.

    Args:
        make_notifier: makes a notifier that writes its rows to the given list.
        pushes_wait: called when there is something to push.
        repeat_after: seconds in which one subscription gets equal notifications once.
        monotonic: the loop's clock.
    """

    def __init__(
        self,
        pool: Pool,
        hub: Hub,
        make_notifier: Callable[[Callable[[NotificationRow], None]], Notifier],
        *,
        pushes_wait: Callable[[], None],
        repeat_after: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._hub = hub
        self._rows: list[NotificationRow] = []
        self._notifier = make_notifier(self._rows.append)
        self._pushes_wait = pushes_wait
        self._repeat_after = repeat_after
        self._monotonic = monotonic
        self._silent_from = monotonic() + GRACE
        self._log = structlog.get_logger("silence")

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await sleep_unless_cancelled(EVERY)
            try:
                await self.step()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                self._silent_from = self._monotonic() + GRACE
                self._log.warning("silent cars are looked for later", reason=type(error).__name__)

    async def step(self) -> None:
        """Notify the owners of cars that are silent now, or back."""
        now, self._rows[:] = self._monotonic(), []
        async with self._pool.acquire() as connection, connection.transaction():
            for vehicle in await note_heard(connection, [room.vehicle for room in self._hub if room.car is not None]):
                self._notifier.notify(vehicle, b"AVehicle is back", now)
            if now >= self._silent_from:
                for vehicle, hours in await take_silent(connection):
                    self._notifier.notify(vehicle, b"AVehicle has been silent for %d hours" % hours, now)
            if self._rows:
                await write_notifications(connection, self._rows, repeat_after=self._repeat_after)
        if self._rows:
            self._pushes_wait()
