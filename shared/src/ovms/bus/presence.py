"""Who is connected to a vehicle, over all replicas of both services.

A replica of car-protocol writes one field a vehicle, `<session> <apps> <batch>`: the epoch of the car's session there, 0 where
it has none, and how many apps and batch clients. The field counts while the replica's own lease runs, so that a replica that
died counts for nothing after `REPLICA_LEASE`; then any other one clears what it left. An HTTP session is a member of the
vehicle's sorted set until its lease ends. Every change publishes who is connected now on the vehicle's peers channel, as
`interface` declares it.
"""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as TooLate

from ovms.bus import channels
from ovms.bus.client import Client
from ovms.bus.presence_scripts import ANNOUNCED, CHANGE, CLAIM, RENEW
from ovms.identity import VehicleName

REPLICA_LEASE: Final = 10.0
PATIENCE: Final = 5.0
"""Seconds after which a change that Redis has not made yet is not made, where its sender names no time."""
CLEAR_AT_ONCE: Final = 500
CHANGED_AT_ONCE: Final = 50
"""Vehicles that one call of a script changes; meanwhile Redis answers nobody else, a millisecond at most."""


class Connected(NamedTuple):
    """What one replica has connected of a vehicle."""

    session: int
    """The epoch of the car's session, 0 where it is not here."""
    apps: int
    batch: int


NOBODY: Final = Connected(0, 0, 0)


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

_LATE: Final = "LATE "
_KEYS: Final = (channels.connections_key, channels.http_key, channels.session_key)
"""Of a vehicle, as the scripts are given them."""


@dataclass(frozen=True, slots=True)
class Present:
    """Who is connected to a vehicle, replica by replica."""

    replicas: Mapping[str, Connected] = field(default_factory=dict)
    http: HttpWatchers = NO_SESSIONS
    owner: str = ""
    """The replica that has or had the car's newest session, if it lives."""
    at: int = 0
    """When that was so, in microseconds of Redis' clock."""

    def car(self) -> tuple[int, str]:
        """Return the session of the car and its replica; session 0: it is not connected."""
        return max(((connected.session, name) for name, connected in self.replicas.items()), default=(0, ""))

    @property
    def has_car(self) -> bool:
        """Whether the car is connected."""
        return self.car()[0] > 0

    def peers(self) -> Peers:
        """The counts."""
        return Peers(
            car=int(self.has_car),
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
    """The number of its session, greater than all before; 0 where it has to wait."""
    present: Present
    """Who else is connected."""
    delay: float = 0.0
    """Seconds to wait before it claims again."""


class Presence:
    """The gateway's and the car service's view of who is connected.

    Every method raises `redis.exceptions.RedisError` where Redis does not answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._change = client.register_script(CHANGE)
        self._claim = client.register_script(CLAIM)
        self._renew = client.register_script(RENEW)
        self._announced: Any = client.register_script(ANNOUNCED)

    # ---- HTTP sessions

    async def connect(self, vehicle: VehicleName, member: str, lifetime: float) -> Watching:
        """Count an HTTP session as an app of the vehicle for `lifetime` seconds, or renew it."""
        [answer] = await self._run("connect", {vehicle: (member, str(lifetime))})
        peers = _present(answer).peers()
        return Watching(peers, first=int(answer[5]) + peers.apps - peers.http == 0)

    async def disconnect(self, vehicle: VehicleName, member: str) -> Peers:
        """End an HTTP session's watch of a vehicle; one that is not there changes nothing."""
        [answer] = await self._run("disconnect", {vehicle: (member, "")})
        return _present(answer).peers()

    # ---- asked

    async def counts(self, vehicles: Sequence[VehicleName]) -> list[Peers]:
        """The counts of some vehicles, in their order."""
        return [present.peers() for present in await self.present(vehicles)]

    async def present(self, vehicles: Iterable[VehicleName]) -> list[Present]:
        """Who is connected to some vehicles, in their order. Ends the leases of HTTP sessions that have run out."""
        return [_present(answer) for answer in await self._run("count", dict.fromkeys(vehicles, ("", "")), math.inf)]

    async def claim(
        self, replica: str, cars: Sequence[tuple[VehicleName, int]], *, give_up_at: float | None = None
    ) -> list[Claim]:
        """Make a replica the owner of some cars' newest sessions, in order, and announce them; or tell it to wait first.

        Args:
            replica: empty where it has no lease yet; then it announces them later.
            cars: vehicles, and since when each has waited, in milliseconds of Redis' clock; 0: it has not. Waiting is in
                vain where another session has begun since.
            give_up_at: a time of the loop, from which on Redis changes nothing; None: in `PATIENCE`.
        """
        if replica:
            await self._note(replica, [vehicle for vehicle, _ in cars])
        changes = [(vehicle, (replica, str(waits_since))) for vehicle, waits_since in cars]
        answers = await self._evaluate(self._claim, changes, give_up_at)
        return [Claim(int(answer[5]), _present(answer), float(answer[6])) for answer in answers]

    async def raise_sessions(self, sessions: Mapping[VehicleName, int], *, give_up_at: float | None = None) -> None:
        """Let the next claim of each vehicle give a greater number than this one; a number that is lower changes nothing.

        Args:
            sessions: session numbers, by vehicle.
            give_up_at: a time of the loop, from which on Redis changes nothing; None: in `PATIENCE`.
        """
        await self._run("raise", {vehicle: ("", str(session)) for vehicle, session in sessions.items()}, give_up_at)

    # ---- replicas

    async def announce(
        self, replica: str, connected: Mapping[VehicleName, Connected], *, give_up_at: float | None = None
    ) -> None:
        """Write what a replica has connected, by vehicle, and publish the new sums.

        A session with a greater number than the stored one becomes the newest: it was numbered without Redis. The
        replica must have a lease: what one without it has connected does not count.

        Args:
            give_up_at: a time of the loop, from which on Redis changes nothing; None: in `PATIENCE`.
        """
        here = [vehicle for vehicle, counts in connected.items() if any(counts)]
        if here:
            await self._note(replica, here)
        changes = {name: (replica, "{} {} {}".format(*counts)) for name, counts in connected.items()}
        await self._run("announce", changes, give_up_at)
        if len(here) < len(connected):
            await self._forget(replica, list(connected.keys() - set(here)))

    async def announced(self, replica: str, vehicles: Sequence[VehicleName]) -> list[Connected]:
        """What Redis holds that a replica has connected of some vehicles, in their order."""
        keys = [channels.connections_key(vehicle) for vehicle in vehicles]
        held = await self._announced(keys=keys, args=[replica])
        return [NOBODY if counts is None else Connected(*map(int, counts.split())) for counts in held]

    async def begin_replica(self, replica: str) -> None:
        """Give a replica its lease; its name must be new."""
        seconds, micros = await self._client.time()
        await self._client.zadd(channels.REPLICAS, {replica: seconds + micros / 1e6 + REPLICA_LEASE})

    async def renew_replica(self, replica: str) -> bool:
        """Keep a replica's lease; False: it has run out, so the replica must begin again under a new name."""
        return bool(await self._renew(keys=[channels.REPLICAS], args=[replica, REPLICA_LEASE]))

    async def ended_replicas(self) -> list[str]:
        """The replicas whose lease has run out, and who may have left something behind."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(channels.REPLICAS, 0, -1, withscores=True)
            (seconds, micros), leases = await pipe.execute()
        return [replica.decode() for replica, until in leases if until < seconds + micros / 1e6]

    async def vehicles_of(self, replica: str) -> list[VehicleName]:
        """The vehicles that a replica has announced, and not taken back."""
        names: Any = await self._client.smembers(channels.replica_vehicles_key(replica))
        return [_read_member(name) for name in names]

    async def clear_replica(self, replica: str) -> int:
        """End a replica: its lease, and all that it had connected, which is published; returns how many vehicles that were.

        Several may do this at once for one that has died, and each may stop half way: what is left is found again.
        """
        # It counts no more from here on, but stays in the list of replicas until all that it left is cleared.
        await self._client.zadd(channels.REPLICAS, {replica: 0}, xx=True)
        cleared = 0
        while vehicles := await self._some_of(replica):
            await self._run("clear", dict.fromkeys(vehicles, (replica, "")))
            await self._forget(replica, vehicles)
            cleared += len(vehicles)
        await self._client.zrem(channels.REPLICAS, replica)
        return cleared

    # ---- the vehicles of a replica

    async def _note(self, replica: str, vehicles: Sequence[VehicleName]) -> None:
        await self._client.sadd(channels.replica_vehicles_key(replica), *map(_member, vehicles))

    async def _forget(self, replica: str, vehicles: Sequence[VehicleName]) -> None:
        await self._client.srem(channels.replica_vehicles_key(replica), *map(_member, vehicles))

    async def _some_of(self, replica: str) -> list[VehicleName]:
        names: Any = await self._client.srandmember(channels.replica_vehicles_key(replica), CLEAR_AT_ONCE)
        return [_read_member(name) for name in names]

    # ---- scripts

    async def _run(
        self, verb: str, changes: Mapping[VehicleName, tuple[str, str]], give_up_at: float | None = None
    ) -> list[Any]:
        """Make one change a vehicle, (member, value) by vehicle; returns what the script does, in order."""
        return await self._evaluate(self._change, [(name, (verb, *change)) for name, change in changes.items()], give_up_at)

    async def _evaluate(
        self, script: Any, changes: Sequence[tuple[VehicleName, Sequence[str]]], give_up_at: float | None = None
    ) -> list[Any]:
        """Run a script for each vehicle with the arguments beside it; `math.inf`: it may be run at any time."""
        calls = [changes[start : start + CHANGED_AT_ONCE] for start in range(0, len(changes), CHANGED_AT_ONCE)]
        until = await self._until(give_up_at)
        try:
            # Not by calling the script: redis-py would ask first, every time, whether Redis knows it.
            try:
                return await self._evaluate_calls(script.sha, until, calls)
            except NoScriptError:
                await self._client.script_load(script.script)
                return await self._evaluate_calls(script.sha, until, calls)
        except ResponseError as error:
            if _LATE not in str(error):
                raise
            raise TooLate("Redis came to it too late") from error

    async def _until(self, give_up_at: float | None) -> str:
        """Return the time of Redis' clock at which the sender gives up, or one that is a little earlier."""
        if give_up_at == math.inf:
            return "inf"
        loop = asyncio.get_running_loop()
        if give_up_at is None:
            give_up_at = loop.time() + PATIENCE
        seconds, micros = await self._client.time()
        return f"{seconds + micros / 1e6 + give_up_at - loop.time():.6f}"

    async def _evaluate_calls(
        self, sha: str, until: str, calls: Sequence[Sequence[tuple[VehicleName, Sequence[str]]]]
    ) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for changes in calls:
                keys = [make(vehicle) for vehicle, _ in changes for make in _KEYS]
                arguments = [argument for vehicle, change in changes for argument in (vehicle.vehicle_id, *change)]
                pipe.evalsha(sha, len(keys) + 1, *keys, channels.REPLICAS, until, *arguments)
            return [answer for answers in await pipe.execute() for answer in answers]


def _member(vehicle: VehicleName) -> str:
    """Return a vehicle as the set of its replica has it."""
    return f"{vehicle.number} {vehicle.vehicle_id}"


def _read_member(member: bytes) -> VehicleName:
    number, _, vehicle_id = member.decode().partition(" ")
    return VehicleName(vehicle_id, int(number))


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
    watchers = HttpWatchers(http, float(until)) if http else NO_SESSIONS
    return Present(replicas, watchers, owner.decode(), _micros(at.decode()))


def _micros(at: str) -> int:
    seconds, micros = at.split(".")
    return int(seconds) * 1_000_000 + int(micros)
