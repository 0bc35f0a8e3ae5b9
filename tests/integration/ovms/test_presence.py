"""Who is connected to a vehicle, over all replicas, in a real Valkey."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from fixtures.names import DEMO, OTHER
from ovms.bus import channels
from ovms.bus.presence import Connected, HttpWatchers, Peers, Presence, present_of
from ovms.identity import VehicleName

DEADLINE = 15.0


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def presence(client: redis.asyncio.Redis) -> Presence:
    return Presence(client)


@contextlib.asynccontextmanager
async def publications(client: redis.asyncio.Redis, vehicle: VehicleName) -> AsyncIterator[redis.asyncio.client.PubSub]:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(channels.peers_channel(vehicle))
        await pubsub.get_message(timeout=DEADLINE)
        yield pubsub


async def following(pubsub: redis.asyncio.client.PubSub) -> dict[str, object]:
    event = await pubsub.get_message(timeout=DEADLINE)
    assert event is not None
    body: dict[str, object] = json.loads(event["data"])
    return body


async def test_nobody_is_there_at_first(presence: Presence) -> None:
    assert await presence.counts([DEMO, OTHER]) == [Peers(0, 0, 0, 0)] * 2
    assert await presence.counts([]) == []
    [present] = await presence.present([DEMO])
    assert (present.replicas, present.http, present.owner) == ({}, HttpWatchers(), "")


async def test_a_server_that_knows_no_script_is_told_it_and_asked_no_more(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    await client.script_flush()
    await client.config_resetstat()
    for member in ("one", "two"):
        await presence.connect(DEMO, member, 60)
    calls = {name: stats["calls"] for name, stats in (await client.info("commandstats")).items()}
    assert calls.get("cmdstat_script|load") == 1
    assert "cmdstat_script|exists" not in calls
    assert await presence.counts([DEMO]) == [Peers(0, 2, 0, 2)]


async def test_a_session_counts_as_an_app_and_the_first_is_told_so(presence: Presence) -> None:
    first = await presence.connect(VehicleName("Demo", 1), "one", 60)
    second = await presence.connect(DEMO, "two", 60)
    again = await presence.connect(VehicleName("demo", 1), "one", 60)
    assert (first.peers, first.first) == (Peers(0, 1, 0, 1), True)
    assert (second.peers, second.first) == (Peers(0, 2, 0, 2), False)
    assert (again.peers, again.first) == (Peers(0, 2, 0, 2), False)
    assert await presence.disconnect(VehicleName("dEmO", 1), "one") == Peers(0, 1, 0, 1)
    assert await presence.disconnect(DEMO, "stranger") == Peers(0, 1, 0, 1)
    assert await presence.counts([VehicleName("demo", 1), VehicleName("other", 2)]) == [Peers(0, 1, 0, 1), Peers(0, 0, 0, 0)]


async def test_a_session_is_not_the_first_where_an_app_is_connected(presence: Presence) -> None:
    await presence.begin_replica("r1")
    await presence.announce("r1", {DEMO: Connected(1, 1, 0)})
    assert not (await presence.connect(DEMO, "one", 60)).first


async def test_a_session_ends_with_its_lease(presence: Presence) -> None:
    await presence.connect(DEMO, "short", 0.2)
    await presence.connect(DEMO, "long", 60)
    async with asyncio.timeout(DEADLINE):
        while await presence.counts([DEMO]) != [Peers(0, 1, 0, 1)]:
            pass
    [present] = await presence.present([DEMO])
    assert present.http.count == 1


async def test_nothing_is_left_of_a_vehicle_that_nobody_watches(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.connect(DEMO, "one", 60)
    assert 0 < await client.ttl(channels.http_key(DEMO)) <= 62
    await presence.disconnect(DEMO, "one")
    await presence.announce("r1", {DEMO: Connected(0, 1, 0)})
    await presence.announce("r1", {DEMO: Connected(0, 0, 0)})
    assert await client.keys() == []


async def test_the_counts_of_replicas_are_added_while_their_leases_run(presence: Presence) -> None:
    for replica in ("r1", "r2"):
        await presence.begin_replica(replica)
    await presence.announce("r1", {DEMO: Connected(1, 2, 0), OTHER: Connected(0, 0, 3)})
    await presence.announce("r2", {DEMO: Connected(0, 1, 1)})
    await presence.connect(DEMO, "one", 60)
    assert await presence.counts([DEMO, OTHER]) == [Peers(1, 4, 1, 1), Peers(0, 0, 3, 0)]
    await presence.clear_replica("r1")
    assert await presence.counts([DEMO, OTHER]) == [Peers(0, 2, 1, 1), Peers(0, 0, 0, 0)]


async def expire(client: redis.asyncio.Redis, replica: str) -> None:
    seconds, _ = await client.time()
    await client.zadd(channels.REPLICAS, {replica: seconds - 1})


async def test_a_replica_that_died_counts_no_more_after_its_lease(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.begin_replica("dead")
    await presence.announce("dead", {DEMO: Connected(1, 1, 1)})
    await expire(client, "dead")
    assert await presence.counts([DEMO]) == [Peers(0, 0, 0, 0)]


async def test_what_a_dead_replica_left_is_cleared_and_published(presence: Presence, client: redis.asyncio.Redis) -> None:
    for replica in ("dead", "alive"):
        await presence.begin_replica(replica)
    vehicles = {VehicleName(f"CAR{number}", 100 + number): Connected(5, 1, 1) for number in range(1200)}
    await presence.announce("dead", {DEMO: Connected(7, 1, 1), **vehicles})
    await presence.announce("dead", {VehicleName("CAR0", 100): Connected(0, 0, 0)})
    await presence.announce("alive", {DEMO: Connected(0, 1, 0)})
    assert await presence.ended_replicas() == []
    await expire(client, "dead")
    assert await presence.ended_replicas() == ["dead"]
    async with publications(client, DEMO) as pubsub:
        assert await presence.clear_replica("dead") == 1200
        told = await following(pubsub)
    assert (told["car"], told["apps"], told["session"]) == (0, 1, 0)
    assert told["replicas"] == {"alive": [0, 1, 0]}
    assert await presence.ended_replicas() == []
    await presence.clear_replica("alive")
    assert set(await client.keys()) == {channels.session_key(name).encode() for name in (DEMO, *vehicles)}


async def test_a_lease_that_has_run_out_is_never_renewed(presence: Presence, client: redis.asyncio.Redis) -> None:
    assert not await presence.renew_replica("r1")
    await presence.begin_replica("r1")
    assert await presence.renew_replica("r1")
    await expire(client, "r1")
    assert not await presence.renew_replica("r1")
    assert await presence.ended_replicas() == ["r1"]


async def test_dead_replicas_do_not_slow_down_a_login(presence: Presence, client: redis.asyncio.Redis) -> None:
    """A car that comes back at once after each of many crashes, while the lease of the replica that crashed still runs."""
    for number in range(10):
        await presence.begin_replica(f"r{number}")
        [claim] = await presence.claim(f"r{number}", [(DEMO, 0)])
        assert (claim.delay, claim.epoch > 0) == (0, True)
        if number:
            await expire(client, f"r{number - 1}")
            await presence.clear_replica(f"r{number - 1}")


async def test_entries_that_dead_replicas_left_do_not_slow_down_a_login(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    for number in range(10):
        await presence.begin_replica(f"r{number}")
        [claim] = await presence.claim(f"r{number}", [(DEMO, 0)])
        assert (claim.delay, claim.epoch > 0) == (0, True)
        await expire(client, f"r{number}")


# ---- calls that Redis comes to late


async def test_a_call_that_redis_comes_to_after_its_sender_has_given_up_changes_nothing(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    await presence.begin_replica("r1")
    await presence.announce("r1", {DEMO: Connected(0, 2, 0)})
    now = asyncio.get_running_loop().time()
    with pytest.raises(redis.exceptions.TimeoutError):
        await presence.announce("r1", {DEMO: Connected(0, 1, 0)}, give_up_at=now - 0.001)
    with pytest.raises(redis.exceptions.TimeoutError):
        await presence.claim("r1", [(DEMO, 0)], give_up_at=now - 0.001)
    assert await presence.announced("r1", [DEMO, OTHER]) == [Connected(0, 2, 0), Connected(0, 0, 0)]
    assert not await client.exists(channels.session_key(DEMO))


async def test_a_car_is_one_however_many_replicas_have_it(presence: Presence) -> None:
    for replica in ("r1", "r2"):
        await presence.begin_replica(replica)
        await presence.announce(replica, {DEMO: Connected(1, 0, 0)})
    assert await presence.counts([DEMO]) == [Peers(1, 0, 0, 0)]


# ---- publications


async def test_every_change_is_published_with_the_counts_after_it(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.begin_replica("r1")
    async with publications(client, VehicleName("Demo", 1)) as pubsub:
        await presence.announce("r1", {VehicleName("Demo", 1): Connected(1, 1, 1)})
        told = await following(pubsub)
        seconds, _ = await client.time()
        assert abs(float(str(told.pop("at"))) - seconds) < DEADLINE
        assert told == {
            "vehicle": "Demo",
            "car": 1,
            "apps": 1,
            "batch": 1,
            "http": 0,
            "http_until": 0,
            "session": 1,
            "replicas": {"r1": [1, 1, 1]},
        }
        await presence.connect(VehicleName("Demo", 1), "one", 60)
        told = await following(pubsub)
        assert (told["apps"], told["http"]) == (2, 1)
        seconds, _ = await client.time()
        assert seconds + 58 < float(str(told["http_until"])) < seconds + 62
        await presence.disconnect(VehicleName("Demo", 1), "one")
        assert (await following(pubsub))["apps"] == 1


async def test_a_renewal_changes_nothing_and_is_not_published(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.connect(DEMO, "one", 60)
    async with publications(client, DEMO) as pubsub:
        await presence.connect(DEMO, "one", 60)
        await presence.connect(DEMO, "two", 60)
        assert (await following(pubsub))["http"] == 2


async def test_what_is_published_leaves_out_replicas_that_have_ended(presence: Presence, client: redis.asyncio.Redis) -> None:
    await presence.begin_replica("former")
    await presence.announce("former", {DEMO: Connected(1, 5, 0)})
    await presence.clear_replica("former")
    await presence.begin_replica("new")
    async with publications(client, DEMO) as pubsub:
        await presence.announce("new", {DEMO: Connected(0, 1, 0)})
        told = await following(pubsub)
    assert (told["car"], told["apps"]) == (0, 1)


async def test_a_session_is_the_newest_of_all_replicas(presence: Presence, client: redis.asyncio.Redis) -> None:
    for replica in ("r1", "r2"):
        await presence.begin_replica(replica)
    await presence.announce("r1", {DEMO: Connected(1700000000123, 1, 0)})
    async with publications(client, DEMO) as pubsub:
        await presence.announce("r2", {DEMO: Connected(1700000000124, 0, 0)})
        event = await pubsub.get_message(timeout=DEADLINE)
    assert event is not None
    assert json.loads(event["data"])["session"] == 1700000000124
    assert present_of(event["data"]).replicas == {"r1": (1700000000123, 1, 0), "r2": (1700000000124, 0, 0)}


@pytest.mark.parametrize(
    "body", [b"", b"5", b"{}", b"[]", b'{"replicas": 5}', b'{"replicas": {"r": [1]}, "http": 0, "http_until": 0}']
)
def test_what_is_no_publication_is_told_from_one(body: bytes) -> None:
    with pytest.raises(ValueError, match="no message of a peers channel"):
        present_of(body)


# ---- claims


async def test_every_claim_is_newer_than_the_one_before(presence: Presence, client: redis.asyncio.Redis) -> None:
    claims = [claim for _ in range(20) for claim in await presence.claim("", [(DEMO, 0), (VehicleName("demo", 1), 0)])]
    epochs = [claim.epoch for claim in claims]
    assert epochs == sorted(set(epochs))
    seconds, _ = await client.time()
    assert abs(epochs[0] - seconds * 1000) < 10_000
    assert not any(claim.delay for claim in claims)


async def test_an_epoch_does_not_fall_where_redis_has_forgotten_or_its_clock_goes_back(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    [before] = await presence.claim("", [(DEMO, 0)])
    await client.flushall()
    async with asyncio.timeout(DEADLINE):
        while (await presence.claim("", [(DEMO, 0)]))[0].epoch <= before.epoch:
            pass
    future = before.epoch + 10**9
    await client.hset(channels.session_key(DEMO), "epoch", future)
    assert (await presence.claim("", [(DEMO, 0)]))[0].epoch == future + 1


async def test_a_claim_tells_who_else_is_connected(presence: Presence, client: redis.asyncio.Redis) -> None:
    for replica in ("r1", "dead"):
        await presence.begin_replica(replica)
        await presence.announce(replica, {DEMO: Connected(0, 2, 1)})
    await expire(client, "dead")
    await presence.connect(DEMO, "one", 60)
    demo, other = await presence.claim("", [(DEMO, 0), (OTHER, 0)])
    assert demo.present.replicas == {"r1": Connected(0, 2, 1)}
    assert (demo.present.http.count, other.present.replicas, other.present.http) == (1, {}, HttpWatchers())
    assert demo.present.http.until > demo.epoch / 1000


async def test_a_claim_announces_the_session(presence: Presence, client: redis.asyncio.Redis) -> None:
    for replica in ("r1", "r2"):
        await presence.begin_replica(replica)
    await presence.announce("r1", {VehicleName("Demo", 1): Connected(0, 2, 1)})
    async with publications(client, DEMO) as pubsub:
        [claim] = await presence.claim("r1", [(VehicleName("Demo", 1), 0)])
        told = await following(pubsub)
    assert (told["car"], told["session"], told["replicas"]) == (1, claim.epoch, {"r1": [claim.epoch, 2, 1]})
    assert (claim.present.owner, claim.present.replicas) == ("r1", {"r1": Connected(claim.epoch, 2, 1)})
    [newer] = await presence.claim("r2", [(DEMO, 0)])
    [present] = await presence.present([DEMO])
    assert present.replicas == {"r1": Connected(claim.epoch, 2, 1), "r2": Connected(newer.epoch, 0, 0)}
    assert (present.owner, present.at // 1000 >= newer.epoch) == ("r2", True)
    await presence.clear_replica("r2")
    [present] = await presence.present([DEMO])
    assert (present.owner, present.replicas) == ("", {"r1": Connected(claim.epoch, 2, 1)})


HOUR = 3_600_000
"""Milliseconds."""


async def test_a_session_that_a_clock_ahead_has_numbered_is_followed_by_greater_numbers(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    [first] = await presence.claim("", [(DEMO, 0)])
    ahead = first.epoch + HOUR
    await presence.begin_replica("r1")
    await presence.announce("r1", {DEMO: Connected(ahead, 0, 0)})
    assert (await presence.present([DEMO]))[0].owner == "r1"
    [second] = await presence.claim("r2", [(DEMO, 0)])
    assert ahead < second.epoch < ahead + HOUR
    # It stays so once the session has ended, and where only its replica's connections are left.
    await presence.announce("r1", {DEMO: Connected(0, 0, 0)})
    [third] = await presence.claim("", [(DEMO, 0)])
    assert third.epoch > second.epoch
    await presence.announce("r1", {DEMO: Connected(third.epoch + HOUR, 0, 0)})
    await client.delete(channels.session_key(DEMO))
    [fourth] = await presence.claim("", [(DEMO, 0)])
    assert fourth.epoch > third.epoch + HOUR


async def test_a_session_that_a_clock_behind_has_numbered_lowers_no_number(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    for replica in ("r1", "r2"):
        await presence.begin_replica(replica)
    [first] = await presence.claim("r1", [(DEMO, 0)])
    await presence.announce("r2", {DEMO: Connected(first.epoch - HOUR, 0, 0)})
    assert await client.hget(channels.session_key(DEMO), "epoch") == str(first.epoch).encode()
    assert (await presence.present([DEMO]))[0].owner == "r1"


async def test_of_two_replicas_with_one_number_the_greater_name_has_the_session(
    presence: Presence, client: redis.asyncio.Redis
) -> None:
    for replica in ("a", "b", "c"):
        await presence.begin_replica(replica)
    for replica in ("b", "a"):
        await presence.announce(replica, {DEMO: Connected(7, 0, 0)})
    assert (await presence.present([DEMO]))[0].owner == "b"
    await presence.announce("c", {DEMO: Connected(7, 0, 0)})
    assert (await presence.present([DEMO]))[0].owner == "c"
    await expire(client, "c")
    await presence.announce("a", {DEMO: Connected(7, 1, 0)})
    assert (await presence.present([DEMO]))[0].owner == "a"


async def test_a_number_that_is_raised_is_followed_by_a_greater_one_and_owns_nothing(presence: Presence) -> None:
    await presence.begin_replica("r1")
    [first] = await presence.claim("r1", [(DEMO, 0)])
    await presence.raise_sessions({DEMO: first.epoch + HOUR, OTHER: 5})
    await presence.raise_sessions({DEMO: first.epoch})
    [present, other] = await presence.present([DEMO, OTHER])
    assert (present.owner, other.owner, present.replicas["r1"].session) == ("r1", "", first.epoch)
    [second] = await presence.claim("r1", [(DEMO, 0)])
    assert second.epoch > first.epoch + HOUR


@pytest.mark.parametrize("ahead", [0, HOUR], ids=["by Redis", "by a clock ahead"])
async def test_two_modules_with_one_id_are_slowed(presence: Presence, client: redis.asyncio.Redis, ahead: int) -> None:
    await presence.begin_replica("r1")
    [first] = await presence.claim("", [(DEMO, 0)])
    await presence.raise_sessions({DEMO: first.epoch + ahead})
    delays, newest = [], 0
    for _ in range(10):
        [claim] = await presence.claim("", [(DEMO, 0)])
        delays.append(claim.delay)
        if claim.delay:
            assert claim.epoch == 0
            [claim] = await presence.claim("", [(DEMO, claim.present.at // 1000)])
        assert claim.epoch > newest
        newest = claim.epoch
        await presence.announce("r1", {DEMO: Connected(claim.epoch, 0, 0)})
    assert delays == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30]
    # Who comes again and again has waited once the first of his connections would have.
    [told] = await presence.claim("", [(DEMO, 0)])
    [sooner] = await presence.claim("", [(DEMO, 0)])
    assert (told.delay, sooner.epoch) == (30, 0)
    assert 29 < sooner.delay <= 30
    await client.hincrby(channels.session_key(DEMO), "begun_at", -31_000)
    await client.hincrby(channels.session_key(DEMO), "asked_at", -30_000)
    [claim] = await presence.claim("", [(DEMO, 0)])
    assert (claim.epoch > 0, claim.delay) == (True, 0)
    await presence.announce("r1", {DEMO: Connected(claim.epoch, 0, 0)})
    # Who has waited while another came in waits again.
    [again] = await presence.claim("", [(DEMO, claim.present.at // 1000 - 1)])
    assert (again.epoch, again.delay) == (0, 30)
    # One that logs in again after its session has ended throws nobody out.
    await presence.announce("r1", {DEMO: Connected(0, 0, 0)})
    assert (await presence.claim("", [(DEMO, 0)]))[0].delay == 0
    # It is forgotten after two minutes.
    await presence.announce("r1", {DEMO: Connected(claim.epoch, 0, 0)})
    await client.hincrby(channels.session_key(DEMO), "thrown_at", -121_000)
    assert (await presence.claim("", [(DEMO, 0)]))[0].delay == 0
