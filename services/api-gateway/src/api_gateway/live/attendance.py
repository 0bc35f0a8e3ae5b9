"""Which vehicles a reader is told of, and that he still may be: credentials are revoked, shares end, vehicles are added."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from api_gateway.auth.authenticator import Authenticator, Caller
from api_gateway.errors import ApiError
from api_gateway.live.feed import Rights
from api_gateway.live.hub import Hub
from api_gateway.live.inbox import Ending, Inbox
from ovms.bus.presence import Presence
from ovms.bus.sessions import Sessions
from ovms.db.engine import UNAVAILABLE
from ovms.db.reach import Reached

LEASES: Final = 4
"""Checks that a lease of a watcher lasts, so that one which fails does no harm."""
AWAY: Final = (*UNAVAILABLE, RedisError, OSError)
REFUSED: Final = 4000
"""A close code of WebSocket, with the status of the refusal added."""

FAULT: Final = Ending("Internal server error", 1011)

Audience = Mapping[Reached, Rights]
"""Vehicles, and what a reader may know of each."""
Find = Callable[[], Awaitable[Audience]]


@dataclass(frozen=True, slots=True)
class Attendances:
    """Makes them.

    Args:
        every: seconds between two checks.
    """

    hub: Hub
    authenticator: Authenticator
    sessions: Sessions
    presence: Presence
    every: float

    @asynccontextmanager
    async def attending(
        self, caller: Caller, inbox: Inbox, find: Find, *, watches: bool, first: Audience | None = None
    ) -> AsyncIterator[None]:
        """Tell a caller of vehicles while the block runs.

        Args:
            find: which vehicles that are, and what he may know of them; raises ApiError where he may know nothing any more.
            watches: whether he counts as an app there meanwhile, so that cars report more often.
            first: what `find` would find now, where that is known.
        """
        attendance = _Attendance(self, caller, inbox, find, watches=watches)
        try:
            await attendance.attend(await find() if first is None else first)
            checking = asyncio.create_task(attendance.run())
            try:
                yield
            finally:
                checking.cancel()
                await asyncio.wait([checking])  # so that it connects nobody any more
        finally:
            await attendance.end()


class _Attendance:
    def __init__(self, parts: Attendances, caller: Caller, inbox: Inbox, find: Find, *, watches: bool) -> None:
        self._parts = parts
        self._caller = caller
        self._inbox = inbox
        self._find = find
        self._vehicles: dict[int, str] = {}
        self._known_until = inbox.known_until
        self._watches = watches
        # Of its own: what else the caller has connected must not end with this stream.
        self._member = f"{caller.member}:{secrets.token_hex(8)}"

    async def run(self) -> None:
        """Check until cancelled, or until the stream ends for it."""
        while self._inbox.ends is None:
            await asyncio.sleep(self._parts.every)
            try:
                await self._parts.authenticator.check_standing(self._caller)
                await self.attend(await self._find())
            except AWAY:
                continue  # they cannot be asked; the next time they may be
            except ApiError as error:
                self._inbox.end(Ending(error.detail, REFUSED + error.status))
            except Exception:
                self._inbox.end(FAULT)  # where nobody looks whether he may be told, he is not
                raise

    async def attend(self, audience: Audience) -> None:
        """Join vehicles that are new, leave those that are none any more."""
        # Of vehicles that he is told of later he knows nothing, whatever he knew of others.
        known_until, self._known_until = self._known_until, None
        for vehicle, rights in audience.items():
            self._parts.hub.join(vehicle, self._inbox, rights, known_until)
        now = {vehicle.key: vehicle.vehicle_id for vehicle in audience}
        former, self._vehicles = self._vehicles, now
        for gone in former.keys() - now.keys():
            self._parts.hub.leave(gone, self._inbox)
        if self._watches:
            await self._watch()

    async def _watch(self) -> None:
        if self._caller.session is not None:
            await self._parts.sessions.prolong(self._caller.session)
        for vehicle_id in self._vehicles.values():
            await self._parts.presence.connect(vehicle_id, self._member, LEASES * self._parts.every)

    async def end(self) -> None:
        """Leave all."""
        vehicles, self._vehicles = self._vehicles, {}
        for vehicle in vehicles:
            self._parts.hub.leave(vehicle, self._inbox)
        if self._watches:
            with suppress(*AWAY):  # else the leases end by themselves
                for vehicle_id in vehicles.values():
                    await self._parts.presence.disconnect(vehicle_id, self._member)
