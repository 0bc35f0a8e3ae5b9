"""Who is connected to a vehicle, over all replicas of both services.

A replica of car-protocol writes one field a vehicle, `<car> <apps> <batch>`; it counts while the replica's own lease runs,
so that a replica that died counts for nothing after `REPLICA_LEASE`. An HTTP session is a member of the vehicle's sorted set
until its lease ends. Every change publishes the new counts on the vehicle's peers channel.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from ovms.bus import channels

REPLICA_LEASE: Final = 15.0

# KEYS: connections, http. ARGV: vehicle id, channel, what to do with which member, replicas whose lease runs. One script, so
# that a change, the counts after it and their publication are one step: two that come at once are told 1 and 2, never 2 and 2.
_CHANGE: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local ended = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local verb, member, value = ARGV[3], ARGV[4], ARGV[5]
local before = redis.call('ZCARD', KEYS[2])
if verb == 'connect' then
  redis.call('ZADD', KEYS[2], now + tonumber(value), member)
elseif verb == 'disconnect' then
  redis.call('ZREM', KEYS[2], member)
elseif verb == 'announce' then
  if value == '0 0 0' then redis.call('HDEL', KEYS[1], member) else redis.call('HSET', KEYS[1], member, value) end
end
local http = redis.call('ZCARD', KEYS[2])
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if last[2] then redis.call('EXPIREAT', KEYS[2], math.ceil(last[2]) + 1) end
local live, fields = {}, {}
for replica in string.gmatch(ARGV[6], '%S+') do live[replica] = true end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if live[all[i]] then
    fields[#fields + 1], fields[#fields + 2] = all[i], all[i + 1]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
if verb == 'announce' or ended > 0 or http ~= before then
  local car, apps, batch = 0, http, 0
  for i = 2, #fields, 2 do
    local c, a, b = string.match(fields[i], '(%d+) (%d+) (%d+)')
    if tonumber(c) > 0 then car = 1 end
    apps, batch = apps + a, batch + b
  end
  redis.call('PUBLISH', ARGV[2], cjson.encode({vehicle = ARGV[1], car = car, apps = apps, batch = batch, http = http,
    http_until = tonumber(first[2] or '0')}))
end
return {before, http, first[2] or '0', fields}
"""

# An epoch never falls, even where Redis has lost its memory: it is at least the time in milliseconds.
_CLAIM: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0') + 1)
redis.call('SET', KEYS[1], string.format('%.0f', epoch), 'EX', 2592000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now / 1000)
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {string.format('%.0f', epoch), redis.call('ZCARD', KEYS[2]), first[2] or '0'}
"""


@dataclass(frozen=True, slots=True)
class Peers:
    """How many of each kind are connected to a vehicle."""

    car: int
    apps: int
    """Interactive apps, HTTP sessions among them."""
    batch: int
    http: int


@dataclass(frozen=True, slots=True)
class Connected:
    """What connecting an HTTP session to a vehicle found."""

    peers: Peers
    first: bool
    """No app was there before."""


@dataclass(frozen=True, slots=True)
class HttpWatchers:
    """The HTTP sessions that watch a car, and the Unix time at which the first of their leases ends."""

    count: int
    until: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What the owner of a car's newest session is told."""

    epoch: int
    watchers: HttpWatchers


class Presence:
    """The gateway's and the car service's view of who is connected.

    Every method raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, redis_client: redis.asyncio.Redis) -> None:
        self._redis = redis_client
        self._change = redis_client.register_script(_CHANGE)
        self._claim = redis_client.register_script(_CLAIM)

    async def connect(self, vehicle_id: str, member: str, lifetime: float) -> Connected:
        """Count an HTTP session as an app of the vehicle for `lifetime` seconds, or renew it."""
        [(before, http, _, fields)] = await self._run("connect", {vehicle_id: (member, str(lifetime))})
        peers = _count(fields, http)
        return Connected(peers, first=before + peers.apps - peers.http == 0)

    async def disconnect(self, vehicle_id: str, member: str) -> Peers:
        """End an HTTP session's watch of a vehicle; one that is not there changes nothing."""
        [(_, http, _, fields)] = await self._run("disconnect", {vehicle_id: (member, "")})
        return _count(fields, http)

    async def counts(self, vehicle_ids: Sequence[str]) -> list[Peers]:
        """The counts of some vehicles, in their order."""
        answers = await self._run("count", dict.fromkeys(vehicle_ids, ("", "")))
        return [_count(fields, http) for _, http, _, fields in answers]

    async def watchers(self, vehicle_ids: Iterable[str]) -> list[HttpWatchers]:
        """End the leases that have run out and return those left, in order."""
        answers = await self._run("count", dict.fromkeys(vehicle_ids, ("", "")))
        return [HttpWatchers(int(http), float(until)) for _, http, until, _ in answers]

    async def claim(self, vehicle_ids: Sequence[str]) -> list[Claim]:
        """Make the caller the owner of some cars' newest sessions, in order."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for vehicle_id in vehicle_ids:
                keys = [channels.epoch_key(vehicle_id), channels.http_key(vehicle_id)]
                await self._claim(keys=keys, client=pipe)
            answers = await pipe.execute()
        return [Claim(int(epoch), HttpWatchers(int(http), float(until))) for epoch, http, until in answers]

    async def announce(self, replica: str, counts: Mapping[str, tuple[int, int, int]]) -> None:
        """Write what a replica has connected, (car, apps, batch) a vehicle id, and publish the new sums.

        The replica's lease must have been renewed before: what a replica without a lease has connected does not count.
        """
        fields = {vehicle_id: (replica, f"{car} {apps} {batch}") for vehicle_id, (car, apps, batch) in counts.items()}
        await self._run("announce", fields)

    async def renew_replica(self, replica: str) -> bool:
        """Keep a replica's lease; whether it had run out, so that all it has connected must be announced again."""
        seconds, micros = await self._redis.time()
        now = seconds + micros / 1e6
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(channels.REPLICAS, "-inf", now)
            pipe.zadd(channels.REPLICAS, {replica: now + REPLICA_LEASE})
            _, added = await pipe.execute()
        return bool(added)

    async def end_replica(self, replica: str) -> None:
        """Give a replica's lease back: all it had connected counts no more."""
        await self._redis.zrem(channels.REPLICAS, replica)

    async def _run(self, verb: str, changes: Mapping[str, tuple[str, str]]) -> list[Any]:
        """Make one change a vehicle, (member, value) by vehicle id; returns what the script does, in order."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(channels.REPLICAS, 0, -1, withscores=True)
            (seconds, micros), leases = await pipe.execute()
            live = b" ".join(replica for replica, until in leases if until >= seconds + micros / 1e6)
            for vehicle_id, (member, value) in changes.items():
                keys = [channels.connections_key(vehicle_id), channels.http_key(vehicle_id)]
                arguments: list[str | bytes] = [vehicle_id, channels.peers_channel(vehicle_id), verb, member, value, live]
                await self._change(keys=keys, args=arguments, client=pipe)
            return list(await pipe.execute())


def _count(fields: Sequence[bytes], http: int) -> Peers:
    """Add up what the replicas have connected: names and values in turn."""
    connected = [tuple(map(int, value.split())) for value in fields[1::2]]
    return Peers(
        car=int(any(car for car, _, _ in connected)),
        apps=http + sum(apps for _, apps, _ in connected),
        batch=sum(batch for _, _, batch in connected),
        http=http,
    )


def watchers_of(body: bytes) -> HttpWatchers:
    """The HTTP sessions that a message on a peers channel tells of."""
    told = json.loads(body)
    return HttpWatchers(int(told["http"]), float(told["http_until"]))
