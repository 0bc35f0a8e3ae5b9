"""HTTP sessions: who is signed in under which session id, and which vehicles the session is connected to.

A session is one hash, `ovms:{owner:<owner>}:session:<SHA-256 of its id>`, so that it ends as one: field `login` is the login, a
field `vehicle:<number> <folded id>` stands for every vehicle it connected to. The id itself is known to its client only. It
starts with the number of the owner, which names the sorted set that bounds the owner's sessions.

A session is never the proof of a login: its reader checks in PostgreSQL that the credential behind it still stands.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Final, cast

import orjson

from ovms.bus.channels import owner_session_key, owner_sessions_key
from ovms.bus.client import Client
from ovms.gathered import Gathered
from ovms.identity import VehicleName, fold_vehicle_id

MOST_SESSIONS: Final = 50
"""Of one owner; the one that was not renewed for the longest time ends for a new one."""

_LOGIN: Final = "login"
_VEHICLE: Final = "vehicle:"
_OWNER: Final = re.compile(r"([0-9]{1,19})\.")

# A session's score in the set of its owner: when it ends, in microseconds of Redis' clock. KEYS: session, set.
_KEEP: Final = """
local function keep(lifetime)
  local time = redis.call('TIME')
  redis.call('PEXPIRE', KEYS[1], lifetime)
  redis.call('ZADD', KEYS[2], (time[1] * 1000 + lifetime) * 1000 + time[2], KEYS[1])
  redis.call('PEXPIRE', KEYS[2], lifetime)
  return time[1] * 1000000 + time[2]
end
"""

# ARGV: lifetime in ms, login, how many there may be.
_CREATE: Final = (
    _KEEP
    + """
redis.call('HSET', KEYS[1], 'login', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', keep(ARGV[1]))
local excess = redis.call('ZCARD', KEYS[2]) - ARGV[3]
if excess > 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, excess - 1)) do redis.call('DEL', key) end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, excess - 1)
end
"""
)

# ARGV: lifetime in ms, fields of vehicles. A session that has ended must not come back as a hash without an end, so asking
# whether it is there and writing to it are one step.
_RENEW: Final = (
    _KEEP
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
for place = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[place], '') end
keep(ARGV[1])
return redis.call('HKEYS', KEYS[1])
"""
)

_END: Final = """
local fields = redis.call('HKEYS', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], KEYS[1])
return fields
"""

# KEYS: set.
_END_ALL: Final = """
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
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
    """Return the key of a session; the id cannot be read from it."""
    return owner_session_key(_owner_of(session_id), hashlib.sha256(session_id.encode()).hexdigest())


def _keys(session_id: str) -> list[str]:
    return [session_key(session_id), owner_sessions_key(_owner_of(session_id))]


def _owner_of(session_id: str) -> str:
    """Return the number that an id of ours starts with; of any other text nothing, under which there is no session."""
    found = _OWNER.match(session_id)
    return found[1] if found else ""


class Sessions:
    """The sessions of all replicas of the gateway.

    Every method raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, client: Client, lifetime: float) -> None:
        self.lifetime = lifetime
        self._milliseconds = int(lifetime * 1000)
        self._client = client
        self._logins = Gathered(self._read_logins)
        self._read: Any = client.register_script(_READ)
        self._create = client.register_script(_CREATE)
        self._renew = client.register_script(_RENEW)
        self._end = client.register_script(_END)
        self._end_all = client.register_script(_END_ALL)
        self._prove = client.register_script(_PROVE)

    async def create(self, login: Login) -> str:
        """Start a session and return its id, which nobody else can know or guess.

        Past `MOST_SESSIONS` of the owner it ends another.
        """
        session_id = f"{login.owner_id}.{secrets.token_urlsafe(32)}"
        keys = _keys(session_id)
        arguments: list[str | int] = [self._milliseconds, _stored(login), MOST_SESSIONS]
        await self._create(keys=keys, args=arguments)
        return session_id

    async def read(self, session_id: str) -> Login | None:
        """Return the login of this id, None if there is no such session.

        It says nothing about whether the credential behind it still stands.
        """
        stored = await self._logins.ask(session_key(session_id))
        return None if stored is None else _read_login(stored)

    async def _read_logins(self, keys: Sequence[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [cast("bytes | None", await self._client.hget(keys[0], _LOGIN))]
        return cast("list[bytes | None]", await self._read(keys=keys))

    async def renew(self, session_id: str, *vehicles: VehicleName) -> list[VehicleName] | None:
        """Connect vehicles and restart the session's time; return all its vehicles, None if it has ended."""
        keys = _keys(session_id)
        arguments: list[str | int] = [self._milliseconds, *map(_field, vehicles)]
        fields = await self._renew(keys=keys, args=arguments)
        return None if fields is None else _vehicles(fields)

    async def leave(self, session_id: str, vehicle: VehicleName) -> None:
        """Forget that the session is connected to a vehicle."""
        await self._client.hdel(session_key(session_id), _field(vehicle))

    async def prove(self, session_id: str, login: Login) -> None:
        """Let a session go on with another proof of who has begun it."""
        await self._prove(keys=[session_key(session_id)], args=[_stored(login)])

    async def end(self, session_id: str) -> list[VehicleName]:
        """End a session; return the vehicles that it was connected to."""
        return _vehicles(await self._end(keys=_keys(session_id)))

    async def end_all(self, owner_id: int) -> None:
        """End all sessions of an owner; their connections to vehicles end by themselves."""
        await self._end_all(keys=[owner_sessions_key(owner_id)])


def _stored(login: Login) -> str:
    return json.dumps(asdict(login), default=sorted)


@lru_cache(maxsize=1024)
def _read_login(stored: bytes) -> Login:
    return _login(**orjson.loads(stored))


def _login(*, vehicles: list[str] | None = None, **others: Any) -> Login:
    return Login(**others, vehicles=None if vehicles is None else frozenset(vehicles))


def _field(vehicle: VehicleName) -> str:
    return f"{_VEHICLE}{vehicle.number} {fold_vehicle_id(vehicle.vehicle_id)}"


def _vehicles(fields: list[bytes]) -> list[VehicleName]:
    return sorted(_read_field(name.decode()) for name in fields if name.startswith(_VEHICLE.encode()))


def _read_field(name: str) -> VehicleName:
    number, _, vehicle_id = name.removeprefix(_VEHICLE).partition(" ")
    return VehicleName(vehicle_id, int(number))
