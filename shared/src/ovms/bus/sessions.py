"""HTTP sessions: who is signed in under which session id, and which vehicles the session is connected to.

A session is one hash, `ovms:session:<SHA-256 of its id>`, so that it ends as one: field `login` says who signed in, a field
`vehicle:<folded id>` stands for every vehicle it connected to. The id itself is known to its client only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from ovms.bus.nodes import Client, Nodes
from ovms.gathered import Gathered
from ovms.identity import fold_vehicle_id

_KEY: Final = "ovms:session:"
_LOGIN: Final = "login"
_VEHICLE: Final = "vehicle:"

# KEYS: session. ARGV: lifetime in ms, field of a vehicle. A session that has ended must not come back as a hash without an
# end, so asking whether it is there and writing to it are one step.
_RENEW: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('HSET', KEYS[1], ARGV[2], '')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HKEYS', KEYS[1])
"""

_END: Final = """
local fields = redis.call('HKEYS', KEYS[1])
redis.call('DEL', KEYS[1])
return fields
"""

# KEYS: sessions. Their logins, in one answer: redis-py takes ten times as long for that many.
_READ: Final = """
local logins = {}
for place, key in ipairs(KEYS) do logins[place] = redis.call('HGET', key, 'login') end
return logins
"""

_PROVE: Final = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'login', ARGV[1]) end"


@dataclass(frozen=True, slots=True)
class Login:
    """Who signed in, and with which rights."""

    owner_id: int
    owner: str
    permit: str
    """Rights with commas between; `*` is every right."""
    proof: str = field(repr=False)
    """What the credential was checked against, as a SHA-256: equal on every replica, of no use for signing in."""
    vehicles: frozenset[str] | None = None
    """The folded ids of the vehicles that an API token is for; None: all."""
    token: str | None = None
    """The token's identifier, as its owner sees it listed; None: it was a password."""

    def reaches(self, vehicle_id: str) -> bool:
        """Whether the credential is for this vehicle, if that is the owner's."""
        return self.vehicles is None or fold_vehicle_id(vehicle_id) in self.vehicles


def session_key(session_id: str) -> str:
    """The key of a session; the id cannot be read from it."""
    return _KEY + hashlib.sha256(session_id.encode()).hexdigest()


class Sessions:
    """The sessions of all replicas of the gateway.

    Every method raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, nodes: Nodes, lifetime: float) -> None:
        self.lifetime = lifetime
        self._milliseconds = int(lifetime * 1000)
        self._nodes = nodes
        self._logins = Gathered(self._read_logins)
        self._read: Any = nodes.home.register_script(_READ)
        self._renew = nodes.home.register_script(_RENEW)
        self._end = nodes.home.register_script(_END)
        self._prove = nodes.home.register_script(_PROVE)

    async def create(self, login: Login) -> str:
        """Begin a session; returns its id, which no one else can know or guess."""
        session_id = secrets.token_urlsafe(32)
        key = session_key(session_id)

        async def write(node: Client) -> None:
            async with node.pipeline(transaction=True) as pipe:
                pipe.hset(key, _LOGIN, _stored(login))
                pipe.pexpire(key, self._milliseconds)
                await pipe.execute()

        await self._nodes.at(key, write)
        return session_id

    async def read(self, session_id: str) -> Login | None:
        """Who is signed in under this id; None where there is no such session, or none any more."""
        stored = await self._logins.ask(session_key(session_id))
        return None if stored is None else _login(**orjson.loads(stored))

    async def _read_logins(self, keys: Sequence[str]) -> list[bytes | None]:
        async def read(node: Any, indices: Sequence[int]) -> list[bytes | None]:
            there = [keys[index] for index in indices]
            if len(there) == 1:
                return [await node.hget(there[0], _LOGIN)]
            logins: list[bytes | None]
            if not self._nodes.is_cluster:
                logins = await self._read(keys=there, client=node)
                return logins
            # A node of a cluster takes no keys of several slots at once.
            async with node.pipeline(transaction=False) as pipe:
                for key in there:
                    pipe.hget(key, _LOGIN)
                logins = await pipe.execute()
                return logins

        return await self._nodes.each(keys, read)

    async def renew(self, session_id: str, vehicle_id: str) -> list[str] | None:
        """Connect a vehicle and let the session's time begin anew; returns all its vehicles, None where it has ended."""
        key = session_key(session_id)
        arguments: list[str | int] = [self._milliseconds, _VEHICLE + fold_vehicle_id(vehicle_id)]
        fields = await self._nodes.at(key, lambda node: self._renew(keys=[key], args=arguments, client=node))
        return None if fields is None else _vehicles(fields)

    async def prolong(self, session_id: str) -> None:
        """Let the session's time begin anew, where it has not ended."""
        key = session_key(session_id)
        await self._nodes.at(key, lambda node: node.pexpire(key, self._milliseconds))

    async def leave(self, session_id: str, vehicle_id: str) -> None:
        """Forget that the session is connected to a vehicle."""
        key = session_key(session_id)
        await self._nodes.at(key, lambda node: node.hdel(key, _VEHICLE + fold_vehicle_id(vehicle_id)))

    async def end_all(self, owner_id: int, *, token: str | None = None, but: str | None = None) -> None:
        """End an owner's sessions; their connections to vehicles end by themselves.

        Args:
            token: those alone that were begun with the token of this identifier.
            but: the id of a session that goes on.
        """
        # Nothing else asks whose sessions there are, and this seldom: an index would be kept up to date with every login.
        spared = but and session_key(but)
        async for keys in self._nodes.scan(_KEY + "*"):
            logins = await self._read_logins(keys)
            for key, stored in zip(keys, logins, strict=True):
                if key != spared and stored is not None and _is_of(_login(**orjson.loads(stored)), owner_id, token):
                    await self._delete(key)

    async def prove(self, session_id: str, login: Login) -> None:
        """Let a session go on with another proof of who has begun it."""
        key, stored = session_key(session_id), _stored(login)
        await self._nodes.at(key, lambda node: self._prove(keys=[key], args=[stored], client=node))

    async def _delete(self, key: str) -> None:
        await self._nodes.at(key, lambda node: node.delete(key))

    async def end(self, session_id: str) -> list[str]:
        """End a session; returns the vehicles that it was connected to."""
        key = session_key(session_id)
        return _vehicles(await self._nodes.at(key, lambda node: self._end(keys=[key], client=node)))


def _stored(login: Login) -> str:
    return json.dumps(asdict(login), default=sorted)


def _is_of(login: Login, owner_id: int, token: str | None) -> bool:
    return login.owner_id == owner_id and (token is None or login.token == token)


def _login(*, vehicles: list[str] | None = None, **others: Any) -> Login:
    return Login(**others, vehicles=None if vehicles is None else frozenset(vehicles))


def _vehicles(fields: list[bytes]) -> list[str]:
    prefix = _VEHICLE.encode()
    return sorted(name[len(prefix) :].decode() for name in fields if name.startswith(prefix))
