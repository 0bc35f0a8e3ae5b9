"""Which vehicles a reader receives events of, and whether it still may: credentials, shares and vehicles change.

A reader is re-checked at intervals, and at once when its owner's channel says that something was revoked.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from api_gateway.auth.authenticator import Authenticator, Caller
from api_gateway.errors import ApiError
from api_gateway.live.feed import Rights
from api_gateway.live.hub import Hub
from api_gateway.live.inbox import Ending, Inbox
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Presence
from ovms.bus.revocations import Revocations
from ovms.bus.sessions import Sessions
from ovms.db.engine import UNAVAILABLE
from ovms.db.reach import Reached
from ovms.identity import VehicleName

LEASES: Final = 4
"""Checks that a lease of a watcher lasts, so that one which fails does no harm."""
FAILED_CHECKS: Final = 2
"""In a row, after which a stream ends: nobody can say that it may go on."""
AWAY: Final = (*UNAVAILABLE, *FAILURES)
REFUSED: Final = 4000
"""A close code of WebSocket, with the status of the refusal added."""

FAULT: Final = Ending("Internal server error", 1011)
UNCHECKED: Final = Ending("The credential cannot be checked at the moment", 1013)

Audience = Mapping[Reached, Rights]
"""Vehicles, and what a reader may know of each."""
Find = Callable[[], Awaitable[Audience]]


@dataclass(frozen=True, slots=True)
class Attendances:
    """Makes them.

    Args:
        revocations: says when to check at once.
        every: seconds between two checks.
    """

    hub: Hub
    authenticator: Authenticator
    sessions: Sessions
    presence: Presence
    revocations: Revocations
    every: float
    _open: "set[_Attendance]" = field(default_factory=set, init=False)

    def remove(self, vehicle: int) -> None:
        """Re-check at once the readers of a vehicle that was removed."""
        for attendance in self._open:
            if attendance.receives(vehicle):
                attendance.is_due.set()

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
        self._open.add(attendance)
        try:
            await attendance.attend(await find() if first is None else first)
            checking = asyncio.create_task(attendance.run())
            self.revocations.watch(caller.owner_id, attendance.is_due.set)
            try:
                yield
            finally:
                self.revocations.unwatch(caller.owner_id, attendance.is_due.set)
                checking.cancel()
                await asyncio.wait([checking])  # so that it connects nobody any more
        finally:
            self._open.discard(attendance)
            await attendance.end()


class _Attendance:
    def __init__(self, parts: Attendances, caller: Caller, inbox: Inbox, find: Find, *, watches: bool) -> None:
        self._parts = parts
        self._caller = caller
        self._inbox = inbox
        self._find = find
        self._vehicles: dict[int, VehicleName] = {}
        self._known_until = inbox.known_until
        self._watches = watches
        # Of its own: what else the caller has connected must not end with this stream.
        self._member = f"{caller.member}:{secrets.token_hex(8)}"
        self.is_due = asyncio.Event()
        """Set where the reader is to be checked at once."""

    def receives(self, vehicle: int) -> bool:
        """Return whether the reader receives events of a vehicle."""
        return vehicle in self._vehicles

    async def run(self) -> None:
        """Check until cancelled, or until the stream ends for it."""
        failed = 0
        while self._inbox.ends is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._parts.every):
                    await self.is_due.wait()
            self.is_due.clear()
            try:
                await self._check()
            except AWAY:
                failed += 1
                if failed == FAILED_CHECKS:
                    self._inbox.end(UNCHECKED)
            except ApiError as error:
                self._inbox.end(Ending(error.detail, REFUSED + error.status))
            except Exception:
                self._inbox.end(FAULT)  # where nobody looks whether he may be told, he is not
                raise
            else:
                failed = 0

    async def _check(self) -> None:
        await self._parts.authenticator.check_standing(self._caller)
        self._follow(await self._find())
        with suppress(*AWAY):  # the lease of a watcher outlasts some of these
            await self._watch()

    async def attend(self, audience: Audience) -> None:
        """Join the first vehicles, and count as an app there if the reader wants to."""
        self._follow(audience)
        await self._watch()

    def _follow(self, audience: Audience) -> None:
        """Join vehicles that are new, leave those that are none any more."""
        # Of vehicles that he is told of later he knows nothing, whatever he knew of others.
        known_until, self._known_until = self._known_until, None
        for vehicle, rights in audience.items():
            self._parts.hub.join(vehicle, self._inbox, rights, known_until)
        now = {vehicle.key: vehicle.name for vehicle in audience}
        former, self._vehicles = self._vehicles, now
        for gone in former.keys() - now.keys():
            self._parts.hub.leave(gone, self._inbox)

    async def _watch(self) -> None:
        if not self._watches:
            return
        if self._caller.session is not None:
            await self._parts.sessions.renew(self._caller.session)
        for name in self._vehicles.values():
            await self._parts.presence.connect(name, self._member, LEASES * self._parts.every)

    async def end(self) -> None:
        """Leave all."""
        vehicles, self._vehicles = self._vehicles, {}
        for vehicle in vehicles:
            self._parts.hub.leave(vehicle, self._inbox)
        if self._watches:
            with suppress(*AWAY):  # else the leases end by themselves
                for name in vehicles.values():
                    await self._parts.presence.disconnect(name, self._member)
