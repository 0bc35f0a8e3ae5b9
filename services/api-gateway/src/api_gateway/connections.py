"""Which vehicles an HTTP caller is connected to: he counts as an app there, so the car reports more often.

A caller with a session is connected until the session ends; one that signs in with every call has a lease of the same length,
which each of his `GET /api/vehicle/<id>` begins anew. Nothing but that call renews either: a forgotten poller must not keep a
car at its fast rate.
"""

import asyncio

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import AuthenticationFailed
from ovms.bus.presence import Presence, Watching
from ovms.bus.sessions import Sessions
from ovms.identity import VehicleName


class Connections:
    """Connects callers to vehicles that are known to be theirs."""

    def __init__(self, sessions: Sessions, presence: Presence) -> None:
        self._sessions = sessions
        self._presence = presence

    async def connect(self, caller: Caller, vehicle: VehicleName) -> Watching:
        """Connect a vehicle; renews the caller's session and his connections to all its vehicles.

        Raises:
            AuthenticationFailed: the session has ended meanwhile.
        """
        if caller.session is not None:
            await self._renew(caller, caller.session, vehicle)
        return await self._presence.connect(vehicle, caller.member, self._sessions.lifetime)

    async def disconnect(self, caller: Caller, vehicle: VehicleName) -> None:
        """Disconnect a vehicle; one that is not connected stays so."""
        if caller.session is not None:
            await self._sessions.leave(caller.session, vehicle)
        await self._presence.disconnect(vehicle, caller.member)

    async def end(self, caller: Caller) -> None:
        """End the caller's session, if he has one, and with it all its connections."""
        if caller.session is not None:
            vehicles = await self._sessions.end(caller.session)
            await asyncio.gather(*(self._presence.disconnect(vehicle, caller.member) for vehicle in vehicles))

    async def _renew(self, caller: Caller, session: str, vehicle: VehicleName) -> None:
        vehicles = await self._sessions.renew(session, vehicle)
        if vehicles is None:
            raise AuthenticationFailed
        others = [other for other in vehicles if other.number != vehicle.number]
        lifetime = self._sessions.lifetime
        await asyncio.gather(*(self._presence.connect(other, caller.member, lifetime) for other in others))
