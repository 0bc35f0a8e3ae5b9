"""Finds the vehicles that log in: in PostgreSQL, and while that does not answer among those that were found lately.

PostgreSQL can be away without saying so: a server that hangs neither answers nor refuses. So a look-up has its own limits, on
connections that logins share with nothing else; and once one has failed nobody waits for the next to fail too.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import structlog

from car_protocol.logins.known import KnownVehicles
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.logins import Vehicle, find_vehicles
from ovms.outages import POSTGRESQL, STORE_AVAILABLE, report_outage
from ovms.stopping import sleep_unless_cancelled

ACQUIRE_WITHIN: Final = 1.0
ANSWER_WITHIN: Final = 2.0
REFRESH_EVERY: Final = 60.0
REFRESHED: Final = 500
"""Vehicles asked for at once, of those that were found long ago."""

AWAY: Final = (*UNAVAILABLE, asyncpg.PostgresError)
"""What a look-up raises. None of it says that a car's credentials are wrong."""


class Register:
    """The vehicles.

    Args:
        pool: PostgreSQL, with the limits above.
        known: those that logged in lately.
    """

    def __init__(self, pool: Pool, known: KnownVehicles, monotonic: Callable[[], float]) -> None:
        self._pool = pool
        self._known = known
        self._monotonic = monotonic
        self._log = structlog.get_logger("login")
        self.is_away = False
        """Whether PostgreSQL did not answer the last time it was asked."""

    async def find(self, folded_ids: Sequence[str]) -> Mapping[str, Vehicle]:
        """The vehicles among these upper-cased ids, by that id; of none, it tells whether PostgreSQL answers.

        Raises:
            One of `AWAY`: it does not.
        """
        try:
            found = await find_vehicles(self._pool, folded_ids)
        except AWAY as error:
            if not self.is_away:
                report_outage(self._log, POSTGRESQL, "logins of unknown vehicles wait", error)
            self.is_away = True
            raise
        if self.is_away:
            self._log.info(STORE_AVAILABLE, store=POSTGRESQL)
        self.is_away = False
        self._known.refresh(folded_ids, found, self._monotonic())
        return found

    def keep(self, folded_id: str, vehicle: Vehicle) -> None:
        """Remember a vehicle that was found just now and whose login was right."""
        self._known.keep(folded_id, vehicle, self._monotonic())

    def known(self, folded_id: str) -> Vehicle | None:
        """A vehicle that was found lately. To be asked only while PostgreSQL is away: that may know better."""
        return self._known.find(folded_id, self._monotonic())

    async def run(self) -> None:
        """Keep what is known up to date, until cancelled."""
        while True:
            await sleep_unless_cancelled(REFRESH_EVERY)
            if ageing := self._known.ageing(self._monotonic(), REFRESHED):
                with suppress(*AWAY):  # not noted: only those who look up logins go on asking until PostgreSQL is back
                    found = await find_vehicles(self._pool, ageing)
                    self._known.refresh(ageing, found, self._monotonic())
