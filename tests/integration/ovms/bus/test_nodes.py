"""Presence and sessions in a Redis Cluster of three nodes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as LostConnection

from fixtures.cluster import HOST, NODES, Cluster, running_cluster
from fixtures.waiting import until
from ovms.bus import channels
from ovms.bus.client import followed, look_for_primary, open_redis
from ovms.bus.nodes import Nodes
from ovms.bus.presence import Connected, Peers, Presence
from ovms.bus.sessions import MOST_SESSIONS, Login, Sessions, session_key
from ovms.bus.subscriptions import Listener, Subscriptions
from ovms.local.ports import free_port

LOGIN = Login(7, "demo", "*", "proof")
NOBODY = Peers(0, 0, 0, 0)
VEHICLES = [f"CAR{number}" for number in range(30)]


@asynccontextmanager
async def nodes_of(cluster: Cluster, told: int = 0) -> AsyncIterator[Nodes]:
    client = open_redis(cluster.url_of(told))
    nodes = Nodes(client)
    yield nodes
    await nodes.aclose()
    await client.aclose()


@pytest.fixture
async def nodes(cluster: Cluster) -> AsyncIterator[Nodes]:
    async with nodes_of(cluster) as nodes:
        yield nodes


@pytest.fixture
def presence(nodes: Nodes) -> Presence:
    return Presence(nodes)


async def test_vehicles_are_wherever_their_slot_is(cluster: Cluster, presence: Presence) -> None:
    await presence.begin_replica("r1")
    await presence.announce("r1", {name: Connected(1, number, 0) for number, name in enumerate(VEHICLES)})
    assert await presence.counts(VEHICLES) == [Peers(1, number, 0, 0) for number in range(len(VEHICLES))]
    there = [[name for name in VEHICLES if channels.connections_key(name) in keys] for keys in cluster.contents()]
    assert all(there), "every node has some"
    assert sum(map(len, there)) == len(VEHICLES)
    claims = await presence.claim("r1", [(name, 0) for name in VEHICLES])
    assert all(claim.epoch > 1 and claim.present.owner == "r1" for claim in claims)
    assert await presence.renew_replica("r1")
    assert await presence.ended_replicas() == []
    assert await presence.clear_replica("r1") == len(VEHICLES)
    for name in VEHICLES:
        await presence.connect(name, "session", 60)
        assert await presence.disconnect(name, "session") == Peers(0, 0, 0, 0)


async def test_who_asks_for_keys_of_many_slots_first_finds_out_that_it_is_a_cluster(cluster: Cluster) -> None:
    async with nodes_of(cluster, cluster.holder(channels.REPLICAS)) as nodes:
        assert not nodes.is_cluster
        assert await Presence(nodes).counts(VEHICLES) == [NOBODY] * len(VEHICLES)
        assert nodes.is_cluster


async def test_what_changes_at_any_node_is_heard_at_the_one_that_we_are_told(
    cluster: Cluster, nodes: Nodes, presence: Presence
) -> None:
    subscriptions, heard, confirmed = Subscriptions(nodes.home), set[str](), set[str]()
    for name in VEHICLES:
        listener = Listener(lambda _, name=name: heard.add(name), lambda name=name: confirmed.add(name))
        subscriptions.hear(channels.peers_channel(name).encode(), listener)
    task = asyncio.create_task(subscriptions.run())
    await until(lambda: len(confirmed) == len(VEHICLES))
    await presence.claim("", [(name, 0) for name in VEHICLES])
    await presence.announce("r1", dict.fromkeys(VEHICLES, Connected(1, 0, 0)))
    await until(lambda: len(heard) == len(VEHICLES))
    task.cancel()
    await asyncio.wait([task])


async def test_sessions_are_wherever_their_slot_is(cluster: Cluster, nodes: Nodes) -> None:
    sessions = Sessions(nodes, 60)
    logins = [replace(LOGIN, owner_id=number) for number in range(30)]
    ids = [await sessions.create(login) for login in logins]
    assert all(cluster.contents()), "every node has some"
    assert await asyncio.gather(*map(sessions.read, ids)) == logins
    assert {tuple(await sessions.renew(one, "DEMO") or ()) for one in ids} == {("DEMO",)}
    await sessions.leave(ids[0], "DEMO")
    assert await sessions.end(ids[0]) == []
    assert await sessions.end(ids[1]) == ["DEMO"]
    assert await sessions.renew(ids[0], "DEMO") is None
    more = [await sessions.create(logins[2]) for _ in range(MOST_SESSIONS)]
    assert await sessions.read(ids[2]) is None
    await sessions.end_all(2)
    assert await asyncio.gather(*map(sessions.read, more)) == [None] * MOST_SESSIONS


async def test_a_slot_that_is_given_to_another_node_is_followed(cluster: Cluster, nodes: Nodes, presence: Presence) -> None:
    sessions = Sessions(nodes, 60)
    session = await sessions.create(LOGIN)
    await presence.begin_replica("r1")
    for name in VEHICLES:
        await presence.announce("r1", {name: Connected(1, 1, 0)})
    for key in (channels.connections_key("CAR1"), session_key(session), channels.REPLICAS):
        with cluster.moved(key):
            assert await presence.counts(VEHICLES) == [Peers(1, 1, 0, 0)] * len(VEHICLES)
            assert await sessions.read(session) == LOGIN
        assert await presence.counts(VEHICLES) == [Peers(1, 1, 0, 0)] * len(VEHICLES)


async def test_the_former_node_of_a_slot_knows_better_than_the_one_that_we_are_told(
    cluster: Cluster, presence: Presence
) -> None:
    former, newer = 1, 2
    name = next(name for name in VEHICLES if cluster.holder(channels.connections_key(name)) == former)
    key = channels.connections_key(name)
    await presence.connect(name, "session", 60)
    cluster.move(key, former, newer)
    cluster.mislead(0, key, former)
    assert await presence.counts([name]) == [Peers(0, 1, 0, 1)]
    cluster.move(key, newer, former)


async def test_a_slot_on_its_way_is_away_until_it_has_come(cluster: Cluster, presence: Presence) -> None:
    key = channels.connections_key("CAR1")
    await presence.connect("CAR1", "session", 60)
    former = cluster.holder(key)
    newer = (former + 1) % NODES
    with cluster.half_moved(key, former, newer), pytest.raises(LostConnection):
        await presence.counts(["CAR1"])
    assert await presence.counts(["CAR1"]) == [Peers(0, 1, 0, 1)]
    cluster.move(key, newer, former)


@pytest.mark.parametrize("who", ["home", "another"])
async def test_a_node_that_has_died_is_left_for_who_has_its_slots(tmp_path: Path, who: str) -> None:
    with running_cluster(tmp_path) as cluster:
        async with nodes_of(cluster) as nodes:
            presence = Presence(nodes)
            assert await presence.counts(VEHICLES) == [NOBODY] * len(VEHICLES)
            dies = 0 if who == "home" else 1
            other = (dies + 1) % NODES
            name = next(name for name in VEHICLES if cluster.holder(channels.connections_key(name)) == dies)
            for key in (channels.connections_key(name), channels.REPLICAS):
                if cluster.holder(key) == dies:
                    cluster.move(key, dies, other)
            cluster.processes[dies].kill()
            cluster.processes[dies].wait()
            with pytest.raises(LostConnection):
                await presence.counts([name])
            assert await presence.counts([name]) == [NOBODY]


async def test_of_several_addresses_one_that_answers_will_do_and_all_lead_to_one_node(cluster: Cluster) -> None:
    holder = cluster.ports[cluster.holder(channels.REPLICAS)]
    for port in cluster.ports:
        client = open_redis(f"redis+cluster://{HOST}:{free_port()},{HOST}:{port}")
        nodes = Nodes(client)
        assert await Presence(nodes).counts(VEHICLES) == [NOBODY] * len(VEHICLES)
        assert await client.ping()
        assert followed(client) == ((HOST, holder),)
        assert await nodes.primaries() == {(HOST, port) for port in cluster.ports}
        await nodes.aclose()
        await client.aclose()


async def test_where_no_address_answers_redis_is_away(cluster: Cluster) -> None:
    client = open_redis(f"redis+cluster://{HOST}:{free_port()}")
    with pytest.raises(LostConnection):
        await client.ping()
    await client.aclose()


async def test_who_publishes_and_who_listens_move_together(cluster: Cluster) -> None:
    client = open_redis(cluster.url_of_all)
    subscriptions, heard, confirmed = Subscriptions(client), list[bytes](), list[bool]()
    subscriptions.hear(b"channel", Listener(heard.append, lambda: confirmed.append(True)))
    task = asyncio.create_task(subscriptions.run())
    await until(lambda: len(confirmed) == 1)
    with cluster.moved(channels.REPLICAS):
        await look_for_primary(client)
        await until(lambda: len(confirmed) == 2)
        assert await client.publish("channel", b"moved") == 1, "how many hear it is known of this node alone"
        await until(lambda: heard == [b"moved"])
    task.cancel()
    await asyncio.wait([task])
    await client.aclose()
