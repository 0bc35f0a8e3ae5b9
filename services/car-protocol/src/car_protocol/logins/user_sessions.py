"""Open sessions of scheme 1, which end with the password or token that began them.

While PostgreSQL is unavailable nothing is closed, unlike the gateway's streams: nothing can be revoked meanwhile, a user whose
connection is closed cannot log in again before PostgreSQL is back, and cars log in as users too.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import structlog

from car_protocol.logins.register import AWAY
from ovms.bus.revocations import Revocations
from ovms.bus.sessions import Login
from ovms.db.accounts import credentials_stand
from ovms.db.engine import Pool

EVERY: Final = 15.0
"""Seconds between re-checks of all sessions: tokens expire, and a publication may be lost."""
BATCH: Final = 500
RETRY_AFTER: Final = 1.0
REASON: Final = "the credential was revoked"


class Closable(Protocol):
    """A connection of a user."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""

    def close(self, reason: str) -> None:
        """End the connection after what was sent."""


class UserSessions:
    """Re-checks the credentials of users who are connected here, and closes the sessions of those that no longer stand."""

    def __init__(self, pool: Pool, revocations: Revocations) -> None:
        self._pool = pool
        self._revocations = revocations
        self._open: dict[int, dict[Closable, Login]] = {}
        """By owner."""
        self._rechecks: dict[int, Callable[[], None]] = {}
        self._due: set[int] = set()
        self._has_due = asyncio.Event()
        self._log = structlog.get_logger("users")

    def add(self, connection: Closable, login: Login) -> None:
        """Close a connection when this login no longer stands."""
        owner_id = login.owner_id
        if owner_id in self._open:
            self._open[owner_id][connection] = login
            self._recheck(owner_id)  # it may have been revoked between its check and now
            return
        self._open[owner_id] = {connection: login}
        recheck = self._rechecks[owner_id] = partial(self._recheck, owner_id)
        self._revocations.watch(owner_id, recheck)

    def _recheck(self, owner_id: int) -> None:
        self._due.add(owner_id)
        self._has_due.set()

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        sweep_at = loop.time() + EVERY
        while True:
            try:
                async with asyncio.timeout_at(sweep_at):
                    await self._has_due.wait()
            except TimeoutError:
                sweep_at = loop.time() + EVERY
                self._due.update(self._open)
            try:
                await self._check()
            except AWAY as error:
                self._log.warning("credentials of users cannot be checked", reason=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)

    async def _check(self) -> None:
        self._has_due.clear()
        due, self._due = self._due, set()
        asked = [(connection, login) for owner_id in due for connection, login in self._open.get(owner_id, {}).items()]
        try:
            for start in range(0, len(asked), BATCH):
                await self._check_some([one for one in asked[start : start + BATCH] if not one[0].is_gone])
        except AWAY:
            self._due |= due
            self._has_due.set()
            raise
        for owner_id in due & self._open.keys():
            self._forget_closed(owner_id)

    async def _check_some(self, asked: list[tuple[Closable, Login]]) -> None:
        if not asked:
            return
        credentials = [(login.owner_id, login.proof) for _, login in asked]
        for (connection, _), stands in zip(asked, await credentials_stand(self._pool, credentials), strict=True):
            if not stands:
                connection.close(REASON)

    def _forget_closed(self, owner_id: int) -> None:
        still = {connection: login for connection, login in self._open[owner_id].items() if not connection.is_gone}
        if still:
            self._open[owner_id] = still
        else:
            del self._open[owner_id]
            self._revocations.unwatch(owner_id, self._rechecks.pop(owner_id))
