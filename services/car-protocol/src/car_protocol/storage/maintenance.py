"""Housekeeping: partitions ahead of time, and expiry of history, shares, reserved ids, mail addresses and the audit log."""

from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import structlog

from ovms.db.audit import end_trail
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.mail_addresses import end_unconfirmed
from ovms.db.partitions import drop_state_history, ensure_partitions, expire_rows
from ovms.db.shares import end_offers
from ovms.db.vehicles import end_reservations
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import sleep_unless_cancelled

EVERY: Final = 60.0
STEP: Final = 2500
"""Rows removed at once, as many as the reference removes a minute; here steps follow each other while there is work."""


class Maintenance:
    """Runs once a minute; any number of replicas may do it at once.

    Args:
        audit_days: days that entries of the audit log are kept.
        state_history: seconds that state messages are kept at least.
    """

    def __init__(self, pool: Pool, *, audit_days: int, state_history: int) -> None:
        self._pool = pool
        self._audit_days = audit_days
        self._state_history = timedelta(seconds=state_history)
        self._log = structlog.get_logger("maintenance")

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.step()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                report_outage(self._log, POSTGRESQL, "housekeeping is postponed", error)
            await sleep_unless_cancelled(EVERY)

    async def step(self) -> None:
        """Make the partitions that will be needed, and remove all that has expired."""
        async with self._pool.acquire() as connection:
            await ensure_partitions(connection, datetime.now(UTC))
            await drop_state_history(connection, datetime.now(UTC) - self._state_history)
            while await expire_rows(connection, datetime.now(UTC), limit=STEP) == STEP:
                pass
            while await end_offers(connection, limit=STEP) == STEP:
                pass
            while await end_reservations(connection, limit=STEP) == STEP:
                pass
            while await end_unconfirmed(connection, limit=STEP) == STEP:
                pass
            while await end_trail(connection, self._audit_days, limit=STEP) == STEP:
                pass
