"""Who is connected to a vehicle, over all replicas of both services.

A replica of car-protocol writes one field a vehicle, `<session> <apps> <batch>`: the epoch of the car's session there, 0 where
it has none, and how many apps and batch clients. The field counts while the replica's own lease runs, so that a replica that
died counts for nothing after `REPLICA_LEASE`; then any other one clears what it left. An HTTP session is a member of the
vehicle's sorted set until its lease ends. Every change publishes who is connected now on the vehicle's peers channel, as
`interface` declares it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError

from ovms.bus import channels
from ovms.bus.nodes import Client, Nodes

REPLICA_LEASE: Final = 10.0
CLEAR_AT_ONCE: Final = 500

# What the scripts below begin with. `live_fields` leaves out replicas whose lease has run out; `tell` publishes.
_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local at = string.format('%d.%06d', clock[1], clock[2])
local function live_fields(key, names)
  local live, fields = {}, {}
  for replica in string.gmatch(names, '%S+') do live[replica] = true end
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if live[all[i]] then fields[#fields + 1], fields[#fields + 2] = all[i], all[i + 1] end
  end
  return fields
end
local function tell(fields, http, http_until)
  local session, apps, batch, replicas = 0, http, 0, {}
  for i = 1, #fields, 2 do
    local s, a, b = string.match(fields[i + 1], '(%d+) (%d+) (%d+)')
    s, a, b = tonumber(s), tonumber(a), tonumber(b)
    session, apps, batch, replicas[fields[i]] = math.max(session, s), apps + a, batch + b, {s, a, b}
  end
  local channel = string.gsub(KEYS[1], ':connections$', ':peers')
  redis.call('PUBLISH', channel, cjson.encode({vehicle = ARGV[1], at = at, car = session > 0 and 1 or 0, apps = apps,
    batch = batch, http = http, http_until = tonumber(http_until), session = session, replicas = replicas}))
end
"""

# KEYS: connections, http, session. ARGV: vehicle id, replicas whose lease runs, what to do with which member. One
# script, so that a change, the counts after it and their publication are one step: two that come at once are told 1 and 2,
# never 2 and 2.
_CHANGE: Final = f"""{_COMMON}
local ended = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local verb, member, value = ARGV[3], ARGV[4], ARGV[5]
local before = redis.call('ZCARD', KEYS[2])
local has_changed = ended > 0
if verb == 'connect' then
  redis.call('ZADD', KEYS[2], now + tonumber(value), member)
elseif verb == 'disconnect' then
  redis.call('ZREM', KEYS[2], member)
elseif verb == 'announce' then
  if value == '0 0 0' then redis.call('HDEL', KEYS[1], member) else redis.call('HSET', KEYS[1], member, value) end
  has_changed = true
elseif verb == 'clear' then
  has_changed = redis.call('HDEL', KEYS[1], member) > 0
end
local http = redis.call('ZCARD', KEYS[2])
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if last[2] then redis.call('EXPIREAT', KEYS[2], math.ceil(last[2]) + 1) end
local fields = live_fields(KEYS[1], ARGV[2])
if has_changed or http ~= before then tell(fields, http, first[2] or '0') end
return {{at, http, first[2] or '0', fields, redis.call('HGET', KEYS[3], 'replica') or '', before}}
"""

# KEYS: connections, http, session. ARGV: vehicle id, replicas whose lease runs, the one that claims (none: it is
# announced later), since when the car has waited (0: it has not). An epoch never falls, even where Redis has lost its
# memory: it is at least the time in milliseconds. A car that throws another session of itself out, again and again, is told
# to wait before it may: two modules with one id would otherwise keep each other and us busy without an end.
_CLAIM: Final = f"""{_COMMON}
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call('HMGET', KEYS[3], 'epoch', 'thrown', 'thrown_at')
local mine = ARGV[3]
local is_taken, delay, epoch = false, 0, 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  if string.sub(value, 1, 2) ~= '0 ' then is_taken = true end
end
if is_taken then
  local thrown = ms - tonumber(known[3] or '0') < 120000 and tonumber(known[2] or '0') or 0
  local has_waited = tonumber(known[1] or '0') <= tonumber(ARGV[4])
  if thrown >= 3 and not has_waited then
    delay = math.min(30, 2 ^ (thrown - 3))
  else
    redis.call('HSET', KEYS[3], 'thrown', thrown + 1, 'thrown_at', string.format('%.0f', ms))
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local http = redis.call('ZCARD', KEYS[2])
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if delay == 0 then
  epoch = string.format('%.0f', math.max(ms, tonumber(known[1] or '0') + 1))
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'replica', mine)
  redis.call('EXPIRE', KEYS[3], 2592000)
  if mine ~= '' then
    local others = string.match(redis.call('HGET', KEYS[1], mine) or '0 0 0', ' .*')
    redis.call('HSET', KEYS[1], mine, epoch .. others)
  end
end
local fields = live_fields(KEYS[1], ARGV[2])
if delay == 0 and mine ~= '' then tell(fields, http, first[2] or '0') end
return {{at, http, first[2] or '0', fields, mine, epoch, delay}}
"""

# KEYS: replicas. ARGV: replica, seconds. A lease that has run out is never renewed: others may be clearing what it stood for.
_RENEW: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) < now then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return 1
"""


class Connected(NamedTuple):
    """What one replica has connected of a vehicle."""

    session: int
    """The epoch of the car's session, 0 where it is not here."""
    apps: int
    batch: int


@dataclass(frozen=True, slots=True)
class Peers:
    """How many of each kind are connected to a vehicle."""

    car: int
    apps: int
    """Interactive apps, HTTP sessions among them."""
    batch: int
    http: int


@dataclass(frozen=True, slots=True)
class HttpWatchers:
    """The HTTP sessions that watch a car, and the Unix time at which the first of their leases ends."""

    count: int = 0
    until: float = 0.0


NO_SESSIONS: Final = HttpWatchers()


@dataclass(frozen=True, slots=True)
class Present:
    """Who is connected to a vehicle, replica by replica."""

    replicas: Mapping[str, Connected] = field(default_factory=dict)
    http: HttpWatchers = NO_SESSIONS
    owner: str = ""
    """The replica that has or had the car's newest session, if it lives."""
    at: int = 0
    """When that was so, in microseconds of Redis' clock."""

    def peers(self) -> Peers:
        """The counts."""
        return Peers(
            car=int(any(connected.session for connected in self.replicas.values())),
            apps=self.http.count + sum(connected.apps for connected in self.replicas.values()),
            batch=sum(connected.batch for connected in self.replicas.values()),
            http=self.http.count,
        )


@dataclass(frozen=True, slots=True)
class Watching:
    """What connecting an HTTP session to a vehicle found."""

    peers: Peers
    first: bool
    """No app was there before."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a car that logs in is told."""

    epoch: int
    """The number of its session, newer than all before; 0 where it has to wait."""
    present: Present
    """Who else is connected."""
    delay: float = 0.0
    """Seconds to wait before it claims again."""


class Presence:
    """The gateway's and the car service's view of who is connected.

    Every method raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._change = nodes.home.register_script(_CHANGE)
        self._claim = nodes.home.register_script(_CLAIM)
        self._renew = nodes.home.register_script(_RENEW)

    # ---- HTTP sessions

    async def connect(self, vehicle_id: str, member: str, lifetime: float) -> Watching:
        """Count an HTTP session as an app of the vehicle for `lifetime` seconds, or renew it."""
        [answer] = await self._run("connect", {vehicle_id: (member, str(lifetime))})
        peers = _present(answer).peers()
        return Watching(peers, first=int(answer[5]) + peers.apps - peers.http == 0)

    async def disconnect(self, vehicle_id: str, member: str) -> Peers:
        """End an HTTP session's watch of a vehicle; one that is not there changes nothing."""
        [answer] = await self._run("disconnect", {vehicle_id: (member, "")})
        return _present(answer).peers()

    # ---- asked

    async def counts(self, vehicle_ids: Sequence[str]) -> list[Peers]:
        """The counts of some vehicles, in their order."""
        return [present.peers() for present in await self.present(vehicle_ids)]

    async def present(self, vehicle_ids: Iterable[str]) -> list[Present]:
        """Who is connected to some vehicles, in their order. Ends the leases of HTTP sessions that have run out."""
        return [_present(answer) for answer in await self._run("count", dict.fromkeys(vehicle_ids, ("", "")))]

    async def claim(self, replica: str, cars: Sequence[tuple[str, int]]) -> list[Claim]:
        """Make a replica the owner of some cars' newest sessions, in order, and announce them; or tell it to wait first.

        Args:
            replica: empty where it has no lease yet; then it announces them later.
            cars: vehicle ids, and since when each has waited, as an epoch; 0: it has not. Waiting is in vain where another
                session has begun since.
        """
        if replica:
            await self._note(replica, [vehicle_id for vehicle_id, _ in cars])
        changes = [(vehicle_id, (replica, str(waits_since))) for vehicle_id, waits_since in cars]
        answers = await self._evaluate(self._claim, changes)
        return [Claim(int(answer[5]), _present(answer), float(answer[6])) for answer in answers]

    # ---- replicas

    async def announce(self, replica: str, connected: Mapping[str, Connected]) -> None:
        """Write what a replica has connected, by vehicle id, and publish the new sums.

        The replica must have a lease: what one without it has connected does not count.
        """
        here = [vehicle_id for vehicle_id, counts in connected.items() if any(counts)]
        if here:
            await self._note(replica, here)
        await self._run("announce", {name: (replica, "{} {} {}".format(*counts)) for name, counts in connected.items()})
        if len(here) < len(connected):
            await self._forget(replica, list(connected.keys() - set(here)))

    async def begin_replica(self, replica: str) -> None:
        """Give a replica its lease; its name must be new."""

        async def begin(node: Client) -> None:
            seconds, micros = await node.time()
            await node.zadd(channels.REPLICAS, {replica: seconds + micros / 1e6 + REPLICA_LEASE})

        await self._nodes.at(channels.REPLICAS, begin)

    async def renew_replica(self, replica: str) -> bool:
        """Keep a replica's lease; False: it has run out, so the replica must begin again under a new name."""
        key, arguments = channels.REPLICAS, (replica, REPLICA_LEASE)
        return bool(await self._nodes.at(key, lambda node: self._renew(keys=[key], args=arguments, client=node)))

    async def ended_replicas(self) -> list[str]:
        """The replicas whose lease has run out, and who may have left something behind."""
        live, leases = await self._leases()
        return [replica.decode() for replica in leases if replica not in live]

    async def clear_replica(self, replica: str) -> int:
        """End a replica: its lease, and all that it had connected, which is published; returns how many vehicles that were.

        Several may do this at once for one that has died, and each may stop half way: what is left is found again.
        """
        # It counts no more from here on, but stays in the list of replicas until all that it left is cleared.
        await self._nodes.at(channels.REPLICAS, lambda node: node.zadd(channels.REPLICAS, {replica: 0}, xx=True))
        cleared = 0
        while vehicles := await self._some_of(replica):
            await self._run("clear", dict.fromkeys(vehicles, (replica, "")))
            await self._forget(replica, vehicles)
            cleared += len(vehicles)
        await self._nodes.at(channels.REPLICAS, lambda node: node.zrem(channels.REPLICAS, replica))
        return cleared

    # ---- the vehicles of a replica

    async def _note(self, replica: str, vehicle_ids: Sequence[str]) -> None:
        key = channels.replica_vehicles_key(replica)
        await self._nodes.at(key, lambda node: node.sadd(key, *vehicle_ids))

    async def _forget(self, replica: str, vehicle_ids: Sequence[str]) -> None:
        key = channels.replica_vehicles_key(replica)
        await self._nodes.at(key, lambda node: node.srem(key, *vehicle_ids))

    async def _some_of(self, replica: str) -> list[str]:
        key = channels.replica_vehicles_key(replica)
        names: Any = await self._nodes.at(key, lambda node: node.srandmember(key, CLEAR_AT_ONCE))
        return [name.decode() for name in names]

    # ---- scripts

    async def _run(self, verb: str, changes: Mapping[str, tuple[str, str]]) -> list[Any]:
        """Make one change a vehicle, (member, value) by vehicle id; returns what the script does, in order."""
        return await self._evaluate(self._change, [(name, (verb, *change)) for name, change in changes.items()])

    async def _evaluate(self, script: Any, changes: Sequence[tuple[str, Sequence[str]]]) -> list[Any]:
        """Run a script for each vehicle id with the arguments beside it; an owner that is dead is left out of the answers."""
        live, _ = await self._leases()
        names = b" ".join(live)

        async def evaluate(node: Client, indices: Sequence[int]) -> list[Any]:
            there = [changes[index] for index in indices]
            # Not by calling the script: redis-py would ask first, every time, whether the node knows it.
            try:
                return await _evaluate_at(node, script.sha, names, there)
            except NoScriptError:
                await node.script_load(script.script)
                return await _evaluate_at(node, script.sha, names, there)

        answers = await self._nodes.each([channels.connections_key(vehicle_id) for vehicle_id, _ in changes], evaluate)
        return [(*answer[:4], answer[4] if answer[4] in live else b"", *answer[5:]) for answer in answers]

    async def _leases(self) -> tuple[list[bytes], list[bytes]]:
        """The replicas whose lease runs, and all that have or had one."""

        async def ask(node: Client) -> list[Any]:
            async with node.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.zrange(channels.REPLICAS, 0, -1, withscores=True)
                return await pipe.execute()

        (seconds, micros), leases = await self._nodes.at(channels.REPLICAS, ask)
        now = seconds + micros / 1e6
        return [replica for replica, until in leases if until >= now], [replica for replica, _ in leases]


async def _evaluate_at(node: Client, sha: str, names: bytes, changes: Sequence[tuple[str, Sequence[str]]]) -> list[Any]:
    async with node.pipeline(transaction=False) as pipe:
        for vehicle_id, arguments in changes:
            keys = [make(vehicle_id) for make in (channels.connections_key, channels.http_key, channels.session_key)]
            pipe.evalsha(sha, len(keys), *keys, vehicle_id, names, *arguments)
        return await pipe.execute()


def present_of(body: bytes) -> Present:
    """Who is connected, as a message on a peers channel tells.

    Raises:
        ValueError: it is none.
    """
    try:
        told = json.loads(body)
        replicas = {name: Connected(*map(int, counts)) for name, counts in told["replicas"].items()}
        return Present(replicas, HttpWatchers(int(told["http"]), float(told["http_until"])), at=_micros(told["at"]))
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"no message of a peers channel: {error!r}") from None


def _present(answer: Sequence[Any]) -> Present:
    """Of what `_evaluate` returns: time, HTTP sessions, the end of the first one's lease, names and values in turn, owner."""
    at, http, until, fields, owner, *_ = answer
    replicas = {
        name.decode(): Connected(*map(int, counts.split())) for name, counts in zip(fields[::2], fields[1::2], strict=True)
    }
    return Present(replicas, HttpWatchers(int(http), float(until)), owner.decode(), _micros(at.decode()))


def _micros(at: str) -> int:
    seconds, micros = at.split(".")
    return int(seconds) * 1_000_000 + int(micros)
