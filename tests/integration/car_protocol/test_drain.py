"""A process of car-protocol that is told to stop: who comes is let in, what is acknowledged is kept, and it ends in time."""

import asyncio
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

import pytest

from fixtures.cars import Peer, add_vehicles
from fixtures.processes import MakeReplica, paused
from fixtures.replicas import HOST, Replica
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey
from ovms.stopping import SAME_REQUEST

DRAIN_TIMEOUT = 4.0
SLACK = 10.0
"""What a busy machine takes to end a process."""


@pytest.fixture
def replica(make_replica: MakeReplica) -> Replica:
    """One that is ready, with a car to come."""
    replica = make_replica(OVMS_DRAIN_TIMEOUT=DRAIN_TIMEOUT)
    replica.start()
    return replica


async def car(replica: Replica, vehicle_id: str = "DEMO") -> Peer:
    peer = Peer(Role.CAR, vehicle_id)
    await peer.connect(replica.port)
    await peer.welcomed()
    return peer


async def stop(replica: Replica) -> None:
    """Tell it to stop, and wait until it has begun to."""
    replica.process.terminate()
    await until(lambda: '"stopping"' in replica.log, 30)


def readiness(replica: Replica) -> tuple[int, object]:
    """What /readyz answers."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{replica.health_port}/readyz", timeout=10.0) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def ended(replica: Replica, within: float = DRAIN_TIMEOUT + SLACK) -> int:
    """Its exit status."""
    await until(lambda: replica.process.poll() is not None, within)
    return int(replica.process.returncode)


async def stored(pool: Pool) -> tuple[dict[str, bytes], list[bytes]]:
    """States by code, and the data of history records."""
    states = await pool.fetch("SELECT code, data FROM messages")
    records = await pool.fetch("SELECT data FROM history WHERE record_type = 'Test' ORDER BY record_number")
    return dict(states), [record["data"] for record in records]


async def test_who_logs_in_meanwhile_is_let_in_and_all_that_was_sent_is_acknowledged(
    make_replica: MakeReplica, pool: Pool, secret_keys: str, postgres: Postgres
) -> None:
    replica = make_replica(OVMS_DRAIN_TIMEOUT=40)
    replica.start()
    await add_vehicles(pool, secret_keys, "DEMO", "LATE")
    early, late = await car(replica), Peer(Role.CAR, "LATE")
    with paused(postgres):
        early.send(b"S1,2,3", b"h1,0,Test,1,86400,one", b"h2,0,Test,2,86400,two", b"A")
        await early.until_hears(b"a")
        await late.connect(replica.port)
        await stop(replica)
        assert not late.is_closed
        assert b"h1" not in early.heard

    await late.welcomed()
    await early.closed()
    assert [message for message in early.heard if message[:1] == b"h"] == [b"h1", b"h2"]
    await late.closed()
    assert await ended(replica, 40) == 0
    assert await stored(pool) == ({"S": b"1,2,3"}, [b"one", b"two"])
    assert "what waits for it is lost" not in replica.log


async def test_who_has_just_connected_is_let_in(make_replica: MakeReplica, pool: Pool, secret_keys: str) -> None:
    replica = make_replica(OVMS_DRAIN_TIMEOUT=40)
    replica.start()
    names = [f"CAR{number}" for number in range(30)]
    await add_vehicles(pool, secret_keys, *names)
    replica.pause()
    # The kernel connects them meanwhile, and keeps what they send.
    cars = [Peer(Role.CAR, name) for name in names]
    for peer in cars:
        await peer.connect(replica.port)
    replica.process.terminate()
    replica.resume()
    for peer in cars:
        await peer.closed()
    assert [peer for peer in cars if not peer.is_welcome] == []
    assert await ended(replica, 40) == 0


async def test_sessions_are_closed_at_the_rate(make_replica: MakeReplica, pool: Pool, secret_keys: str) -> None:
    rate, count = 400.0, 1000
    replica = make_replica(OVMS_DRAIN_RATE=rate)
    replica.start()
    names = [f"CAR{number}" for number in range(count)]
    await add_vehicles(pool, secret_keys, *names)
    cars = await asyncio.gather(*(car(replica, name) for name in names))
    for peer in cars:
        peer.send(b"S1")

    async def seconds_until_closed(peer: Peer) -> float:
        await peer.closed()
        return time.monotonic() - began

    began = time.monotonic()
    await stop(replica)
    assert await asyncio.to_thread(readiness, replica) == (503, {"port": False, "postgresql": True, "redis": True})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, replica.port), timeout=5.0)
    gone = sorted(await asyncio.gather(*map(seconds_until_closed, cars)))
    assert await ended(replica, 40) == 0
    # How many have gone at a time is what the rate says, within what a busy machine makes of it.
    for index in (count // 4, count // 2, count - 1):
        assert 0.7 * index / rate <= gone[index] <= 2 * index / rate + 3.0
    assert await pool.fetchval("SELECT count(*) FROM messages") == count


@pytest.mark.parametrize("away", [["postgres"], ["valkey"], ["postgres", "valkey"]])
async def test_it_ends_in_time_while_others_hang(
    replica: Replica, pool: Pool, secret_keys: str, request: pytest.FixtureRequest, away: Sequence[str]
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO", "LATE")
    early, late = await car(replica), Peer(Role.CAR, "LATE")
    servers: list[Postgres | Valkey] = [request.getfixturevalue(name) for name in away]
    with paused(*servers):
        early.send(b"S1,2,3", b"h1,0,Test,1,86400,one")
        await late.connect(replica.port)
        began = time.monotonic()
        await stop(replica)
        assert await ended(replica) == 0
        assert time.monotonic() - began < DRAIN_TIMEOUT + SLACK
        await early.closed()
    assert (b"h1" in early.heard) == ("postgres" not in away)


async def test_a_second_signal_ends_it_at_once(
    make_replica: MakeReplica, pool: Pool, secret_keys: str, postgres: Postgres
) -> None:
    replica = make_replica(OVMS_DRAIN_TIMEOUT=300)
    replica.start()
    await add_vehicles(pool, secret_keys, "DEMO")
    peer = await car(replica)
    with paused(postgres):
        peer.send(b"S1,2,3", b"h1,0,Test,1,86400,one")
        await stop(replica)
        async with asyncio.timeout(DRAIN_TIMEOUT + SLACK):
            while replica.is_running:
                await asyncio.sleep(SAME_REQUEST / 4)
                replica.process.terminate()
    assert replica.process.returncode == -signal.SIGTERM
    await peer.closed()


async def test_a_session_that_never_begins_holds_up_the_end_for_a_while_only(replica: Replica) -> None:
    peer = Peer(Role.CAR, "DEMO")
    await peer.connect(replica.port, introduce=False)
    await stop(replica)
    assert await ended(replica) == 0
    await peer.closed()


async def test_told_to_stop_before_it_serves_it_ends(make_replica: MakeReplica) -> None:
    replica = make_replica()
    replica.start(ready=False)
    await until(lambda: replica.log, 40)
    replica.process.terminate()
    assert await ended(replica, 40) == 0
