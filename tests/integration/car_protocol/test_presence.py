"""What a replica announces to a real Valkey: after a timeout, under another name, and where Redis holds something else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from car_protocol.rooms import presence as module
from car_protocol.rooms.hub import Hub, Peer
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.presence import PresenceKeeper
from car_protocol.rooms.publisher import publish_head
from fakes.peers import app
from fakes.rooms import vehicle
from fixtures.lossy_redis import LateRedis
from fixtures.names import DEMO
from fixtures.waiting import until
from ovms.bus import channels
from ovms.bus.client import open_redis
from ovms.bus.presence import Connected, Presence
from ovms.identity import VehicleName

DEADLINE = 20.0
GIVE_UP = 0.3
NEVER = 3600.0


class ToldLease(Lease):
    """A lease that tells when it is renewed."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[], object] = lambda: None

    def renewed(self, asked_at: float) -> None:
        super().renewed(asked_at)
        self.tell()


class Replica:
    """A replica of which there is no more than what it has connected, and what announces that."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.lease = ToldLease()
        self.name = ""
        self.rename: Callable[[], object] = lambda: None
        self.hub = Hub(publish_head, lambda room: self.keeper.changed(room))
        self._names = iter(f"replica-{number}" for number in range(100))
        self.keeper = PresenceKeeper(
            client, self.hub, self.lease, new_name=lambda: next(self._names), take_name=self._take_name
        )

    async def _take_name(self, name: str) -> None:
        self.name = name
        self.rename()

    def join(self) -> Peer:
        """An app connects to DEMO."""
        peer = app()
        self.hub.join_watcher(self.hub.room(vehicle()), peer, 0)
        return peer

    def leave(self, peer: Peer) -> None:
        self.hub.leave(self.hub.room(vehicle()), peer, 0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It announces while the block runs."""
        task = asyncio.create_task(self.keeper.run())
        try:
            await until(lambda: self.name)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as connected:
        yield connected


async def becomes(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(DEADLINE):
        while (found := await ask()) != wanted:
            assert found is not None
            await asyncio.sleep(0.005)


async def test_an_app_that_comes_back_while_the_replica_takes_another_name_is_announced_under_it(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.02)
    presence, loop = Presence(client), asyncio.get_running_loop()
    replica = Replica(client)
    former = replica.join()

    def leave() -> None:
        monkeypatch.setattr(module, "RENEW_EVERY", NEVER)
        replica.leave(former)

    async with replica.running():
        await becomes(lambda: presence.announced("replica-0", [DEMO]), [Connected(0, 1, 0)])
        # It leaves before the replica has another name, and is back after that and before anything is announced.
        monkeypatch.setattr(module, "TICK", 0.3)
        replica.rename = leave
        replica.lease.tell = lambda: loop.call_soon(replica.join) if replica.name == "replica-1" else None
        await client.zadd(channels.REPLICAS, {"replica-0": 0})
        await until(lambda: replica.name == "replica-1", DEADLINE)
        await becomes(lambda: presence.announced("replica-1", [DEMO]), [Connected(0, 1, 0)])


@pytest.mark.parametrize("change", [["HSET", "0 7 1"], ["HDEL"]])
async def test_what_redis_holds_wrongly_is_announced_again_with_a_renewal_of_the_lease(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch, change: list[str]
) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.02)
    presence = Presence(client)
    replica = Replica(client)
    async with replica.running():
        replica.join()
        await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 1, 0)])
        command, *value = change
        await client.execute_command(command, channels.connections_key(DEMO), replica.name, *value)
        await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 1, 0)])
        assert replica.name == "replica-0"


async def test_what_redis_holds_of_apps_that_have_left_is_taken_back_with_a_renewal(
    client: redis.asyncio.Redis,
) -> None:
    presence = Presence(client)
    replica = Replica(client)
    async with replica.running():
        peer = replica.join()
        await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 1, 0)])
        replica.leave(peer)
        await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 0, 0)])
        await client.hset(channels.connections_key(DEMO), replica.name, "0 1 0")
        await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 0, 0)])


async def test_all_that_is_announced_is_compared_within_a_round_of_renewals(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.01)
    monkeypatch.setattr(module, "CHECKED_AT_ONCE", 1)
    presence = Presence(client)
    replica = Replica(client)
    names = [VehicleName(f"CAR{number}", number) for number in range(1, 2 * module.ROUND + 2)]
    for vehicle_id, number in names:
        replica.hub.join_watcher(replica.hub.room(vehicle(number, vehicle_id)), app(), 0)
    compared: list[set[VehicleName]] = []
    ask = replica.keeper._presence.announced

    async def announced(name: str, vehicles: Sequence[VehicleName]) -> list[Connected]:
        compared[-1].update(vehicles)
        return await ask(name, vehicles)

    async with replica.running():
        await becomes(lambda: presence.announced(replica.name, names), [Connected(0, 1, 0)] * len(names))
        replica.lease.tell = lambda: compared.append(set())
        await until(lambda: compared, DEADLINE)
        monkeypatch.setattr(replica.keeper._presence, "announced", announced)
        await until(lambda: len(compared) > module.ROUND + 1, DEADLINE)
    assert set().union(*compared[1 : module.ROUND + 1]) == set(names)


async def test_an_announcement_that_arrives_after_a_later_one_changes_nothing(
    redis_url: str, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REDIS_TIMEOUT", GIVE_UP)
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    presence, late = Presence(client), LateRedis(urlsplit(redis_url).path)
    async with late.serving() as url, open_redis(url, socket_timeout=None) as through:
        replica = Replica(through)
        async with replica.running():
            replica.join()
            await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 1, 0)])
            monkeypatch.setattr(module, "RENEW_EVERY", NEVER)
            late.holds_next = True
            replica.join()
            await asyncio.wait_for(late.holds.wait(), DEADLINE)
            replica.join()
            await becomes(lambda: presence.announced(replica.name, [DEMO]), [Connected(0, 3, 0)])
            await late.deliver()
            assert await presence.announced(replica.name, [DEMO]) == [Connected(0, 3, 0)]


async def test_a_claim_that_arrives_after_its_car_came_in_without_it_changes_nothing(
    redis_url: str, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLAIM_TIMEOUT", GIVE_UP)
    presence, late = Presence(client), LateRedis(urlsplit(redis_url).path)
    async with late.serving() as url, open_redis(url, socket_timeout=None) as through:
        replica = Replica(through)
        async with replica.running():
            monkeypatch.setattr(module, "RENEW_EVERY", NEVER)
            await presence.begin_replica("other")
            late.holds_next = True
            with pytest.raises(TimeoutError):
                await replica.keeper.claim([(DEMO, 0)])
            # Meanwhile the car has logged in at another replica.
            [claim] = await presence.claim("other", [(DEMO, 0)])
            await late.deliver()
            [present] = await presence.present([DEMO])
            assert (present.owner, present.replicas) == ("other", {"other": Connected(claim.epoch, 0, 0)})
