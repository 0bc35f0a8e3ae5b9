"""Who is connected to a vehicle, over all replicas, in a real Valkey."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from ovms.bus import channels
from ovms.bus.presence import Claim, HttpWatchers, Peers, Presence, watchers_of

DEADLINE = 15.0


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def presence(client: redis.asyncio.Redis) -> Presence:
    return Presence(client)


@contextlib.asynccontextmanager
async def publications(client: redis.asyncio.Redis, vehicle_id: str) -> AsyncIterator[redis.asyncio.client.PubSub]:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(channels.peers_channel(vehicle_id))
        await pubsub.get_message(timeout=DEADLINE)
        yield pubsub


async def following(pubsub: redis.asyncio.client.PubSub) -> dict[str, object]:
    event = await pubsub.get_message(timeout=DEADLINE)
    assert event is not None
    body: dict[str, object] = json.loads(event["data"])
    return body


async def test_nobody_is_there_at_first(presence: Presence) -> None:
    assert await presence.counts(["A", "B"]) == [Peers(0, 0, 0, 0)] * 2
    assert await presence.counts([]) == []
    assert await presence.watchers(["A"]) == [HttpWatchers(0, 0.0)]


async def test_a_session_counts_as_an_app_and_the_first_is_told_so(presence: Presence) -> None:
    first = await presence.connect("Demo", "one", 60)
    second = await presence.connect("DEMO", "two", 60)
    again = await presence.connect("demo", "one", 60)
    assert (first.peers, first.first) == (Peers(0, 1, 0, 1), True)
    assert (second.peers, second.first) == (Peers(0, 2, 0, 2), False)
    assert (again.peers, again.first) == (Peers(0, 2, 0, 2), False)
    assert await presence.disconnect("dEmO", "one") == Peers(0, 1, 0, 1)
    assert await presence.disconnect("DEMO", "stranger") == Peers(0, 1, 0, 1)
    assert await presence.counts(["demo", "other"]) == [Peers(0, 1, 0, 1), Peers(0, 0, 0, 0)]


async def test_a_session_is_not_the_first_where_an_app_is_connected(presence: Presence) -> None:
    await presence.renew_replica("r1")
    await presence.announce("r1", {"DEMO": (1, 1, 0)})
    assert not (await presence.connect("DEMO", "one", 60)).first


async def test_a_session_ends_with_its_lease(presence: Presence) -> None:
    await presence.connect("DEMO", "short", 0.2)
    await presence.connect("DEMO", "long", 60)
    async with asyncio.timeout(DEADLINE):
        while await presence.counts(["DEMO"]) != [Peers(0, 1, 0, 1)]:
            pass
    [watchers] = await presence.watchers(["DEMO"])
    assert watchers.count == 1


async def test_nothing_is_left_of_a_vehicle_that_nobody_watches(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.connect("DEMO", "one", 60)
    assert 0 < await client.ttl(channels.http_key("DEMO")) <= 62
    await presence.disconnect("DEMO", "one")
    await presence.announce("r1", {"DEMO": (1, 0, 0)})
    await presence.announce("r1", {"DEMO": (0, 0, 0)})
    assert await client.keys() == []


async def test_the_counts_of_replicas_are_added_while_their_leases_run(presence: Presence) -> None:
    for replica in ("r1", "r2"):
        await presence.renew_replica(replica)
    await presence.announce("r1", {"DEMO": (1, 2, 0), "OTHER": (0, 0, 3)})
    await presence.announce("r2", {"DEMO": (0, 1, 1)})
    await presence.connect("DEMO", "one", 60)
    assert await presence.counts(["DEMO", "OTHER"]) == [Peers(1, 4, 1, 1), Peers(0, 0, 3, 0)]
    await presence.end_replica("r1")
    assert await presence.counts(["DEMO", "OTHER"]) == [Peers(0, 2, 1, 1), Peers(0, 0, 0, 0)]


async def test_a_replica_that_died_counts_no_more_after_its_lease(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.renew_replica("dead")
    await presence.announce("dead", {"DEMO": (1, 1, 1)})
    seconds, _ = await client.time()
    await client.zadd(channels.REPLICAS, {"dead": seconds - 1})
    assert await presence.counts(["DEMO"]) == [Peers(0, 0, 0, 0)]
    await presence.renew_replica("alive")
    assert await client.zrange(channels.REPLICAS, 0, -1) == [b"alive"]


async def test_a_car_is_one_however_many_replicas_have_it(presence: Presence) -> None:
    for replica in ("r1", "r2"):
        await presence.renew_replica(replica)
        await presence.announce(replica, {"DEMO": (1, 0, 0)})
    assert await presence.counts(["DEMO"]) == [Peers(1, 0, 0, 0)]


# ---- publications


async def test_every_change_is_published_with_the_counts_after_it(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.renew_replica("r1")
    async with publications(client, "Demo") as pubsub:
        await presence.announce("r1", {"Demo": (1, 1, 1)})
        assert await following(pubsub) == {"vehicle": "Demo", "car": 1, "apps": 1, "batch": 1, "http": 0, "http_until": 0}
        await presence.connect("Demo", "one", 60)
        told = await following(pubsub)
        assert (told["apps"], told["http"]) == (2, 1)
        seconds, _ = await client.time()
        assert seconds + 58 < float(str(told["http_until"])) < seconds + 62
        await presence.disconnect("Demo", "one")
        assert (await following(pubsub))["apps"] == 1


async def test_a_renewal_changes_nothing_and_is_not_published(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.connect("DEMO", "one", 60)
    async with publications(client, "DEMO") as pubsub:
        await presence.connect("DEMO", "one", 60)
        await presence.connect("DEMO", "two", 60)
        assert (await following(pubsub))["http"] == 2


async def test_what_is_published_leaves_out_replicas_that_have_ended(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.renew_replica("former")
    await presence.announce("former", {"DEMO": (1, 5, 0)})
    await presence.end_replica("former")
    await presence.renew_replica("new")
    async with publications(client, "DEMO") as pubsub:
        await presence.announce("new", {"DEMO": (0, 1, 0)})
        told = await following(pubsub)
    assert (told["car"], told["apps"]) == (0, 1)


def test_watchers_are_read_from_a_publication() -> None:
    body = json.dumps({"vehicle": "DEMO", "car": 1, "apps": 3, "batch": 0, "http": 2, "http_until": 1700000000.5})
    assert watchers_of(body.encode()) == HttpWatchers(2, 1700000000.5)


# ---- claims


async def test_every_claim_is_newer_than_the_one_before(presence: Presence, client: redis.asyncio.Redis) -> None:
    claims = [claim for _ in range(20) for claim in await presence.claim(["DEMO", "demo"])]
    epochs = [claim.epoch for claim in claims]
    assert epochs == sorted(set(epochs))
    seconds, _ = await client.time()
    assert abs(epochs[0] - seconds * 1000) < 10_000


async def test_an_epoch_does_not_fall_where_redis_has_forgotten_or_its_clock_goes_back(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    [before] = await presence.claim(["DEMO"])
    await client.flushall()
    async with asyncio.timeout(DEADLINE):
        while (await presence.claim(["DEMO"]))[0].epoch <= before.epoch:
            pass
    future = before.epoch + 10**9
    await client.set(channels.epoch_key("DEMO"), future)
    assert (await presence.claim(["DEMO"]))[0].epoch == future + 1


async def test_a_claim_tells_who_watches(presence: Presence) -> None:
    await presence.connect("DEMO", "one", 60)
    demo, other = await presence.claim(["DEMO", "OTHER"])
    assert isinstance(demo, Claim)
    assert (demo.watchers.count, other.watchers) == (1, HttpWatchers(0, 0.0))
    assert demo.watchers.until > demo.epoch / 1000
