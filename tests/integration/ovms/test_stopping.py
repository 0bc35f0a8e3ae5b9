"""A process that receives a stop signal: it ends in time whichever store is unavailable, and at once at a second signal."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fixtures.cars import Peer, add_vehicles
from fixtures.processes import MakeGateway, MakeReplica
from fixtures.relay import Relay
from fixtures.replicas import Gateway, Program, Replica
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role
from ovms.stopping import SAME_REQUEST

DRAIN_TIMEOUT = 2.0
SLACK = 15.0
"""What a busy machine takes to end three processes."""
DEADLINE = 20.0
STORES = [["postgres"], ["redis"], ["postgres", "redis"]]

PROGRAM = """
import asyncio, sys, time
import uvloop
from ovms.stopping import on_stop_signal

async def main():
    stop = asyncio.Event()
    on_stop_signal({stop}, within={within})
    print("ready", flush=True)
    await stop.wait()
    await asyncio.sleep(0.3)

uvloop.run(main())
"""


class Ways:
    """The ways of one process to the stores."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._database_url, self._redis_url = database_url, redis_url
        socket = Path(parse_qs(urlsplit(database_url).query)["host"][0], ".s.PGSQL.5432")
        self.relays = {"postgres": Relay([socket]), "redis": Relay([Path(urlsplit(redis_url).path)])}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[dict[str, str]]:
        """What the process is told."""
        for relay in self.relays.values():
            await relay.start()
        postgres, redis = (relay.port for relay in self.relays.values())
        try:
            yield {
                "OVMS_DATABASE_URL": urlsplit(self._database_url)._replace(query=f"host=127.0.0.1&port={postgres}").geturl(),
                "OVMS_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
            }
        finally:
            for relay in self.relays.values():
                await relay.end()


async def become_ready(programs: Sequence[Program]) -> None:
    for program in programs:
        program.start(ready=False)
    await asyncio.gather(*(asyncio.to_thread(program.await_ready) for program in programs))


async def become_unready(programs: Sequence[Program]) -> None:
    """Wait until each has noticed that a store is unavailable."""
    async with asyncio.timeout(DEADLINE):
        for program in programs:
            while await asyncio.to_thread(program.is_ready):
                pass


async def end_in_time(programs: Sequence[Program], ways: Sequence[Ways], outage: str) -> None:
    """Take from each program its stores of `STORES`, before the signal or just after it; all must end with status 0."""
    taken = [one.relays[name] for one, names in zip(ways, STORES, strict=True) for name in names]
    if outage == "gone":
        for relay in taken:
            relay.cut()
        await become_unready(programs)
    elif outage == "hanging":
        for relay in taken:
            relay.hang()
    for program in programs:
        program.process.terminate()
    if outage == "going":
        for relay in taken:
            relay.cut()
    await until(lambda: not any(program.is_running for program in programs), DRAIN_TIMEOUT + SLACK)
    assert [program.process.returncode for program in programs] == [0, 0, 0]


@pytest.mark.parametrize("outage", ["gone", "hanging", "going"])
async def test_car_protocol_ends_in_time_whichever_store_is_unavailable(
    make_replica: MakeReplica, pool: Pool, database_url: str, redis_url: str, secret_keys: str, outage: str
) -> None:
    names = [f"CAR{number}" for number in range(len(STORES))]
    await add_vehicles(pool, secret_keys, *names)
    ways, cars = [Ways(database_url, redis_url) for _ in STORES], [Peer(Role.CAR, name) for name in names]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(one.open()) for one in ways]
        replicas: list[Replica] = [make_replica(OVMS_DRAIN_TIMEOUT=DRAIN_TIMEOUT, **told) for told in urls]
        await become_ready(replicas)
        for car, replica in zip(cars, replicas, strict=True):
            await car.connect(replica.port)
            await car.welcomed()
            car.send(b"S1,2,3", b"h1,0,Test,1,86400,one")
        await end_in_time(replicas, ways, outage)
        for car in cars:
            await car.closed()


@pytest.mark.parametrize("outage", ["gone", "hanging", "going"])
async def test_a_gateway_ends_in_time_whichever_store_is_unavailable(
    make_gateway: MakeGateway, database_url: str, redis_url: str, outage: str
) -> None:
    ways = [Ways(database_url, redis_url) for _ in STORES]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(one.open()) for one in ways]
        gateways: list[Gateway] = [make_gateway(**told) for told in urls]
        await become_ready(gateways)
        await end_in_time(gateways, ways, outage)


# ---- the process itself


def started(*, stop: str, within: float) -> subprocess.Popen[str]:
    """A program that stops so, once it takes signals."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(stop=stop, within=within)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def test_a_process_whose_loop_hangs_ends_all_the_same_and_shows_where_it_hangs() -> None:
    program = started(stop="lambda: time.sleep(3600)", within=0.2)
    program.terminate()
    _, errors = program.communicate(timeout=DEADLINE)
    assert program.returncode == 1
    assert "Timeout" in errors
    assert "<lambda>" in errors


def test_a_second_signal_ends_a_process_at_once() -> None:
    program = started(stop="lambda: None", within=3600)
    program.terminate()
    ends_at = time.monotonic() + DEADLINE
    while program.poll() is None:
        assert time.monotonic() < ends_at
        time.sleep(SAME_REQUEST / 4)
        program.terminate()
    program.communicate()
    assert program.returncode == -signal.SIGTERM


def test_signals_that_come_together_are_one_request() -> None:
    """As where a service manager signals a whole group, and the parent of its workers forwards its own signal."""
    program = started(stop="stop.set", within=3600)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        program.send_signal(number)
        time.sleep(0.02)  # so that they are not merged into one
    program.communicate(timeout=DEADLINE)
    assert program.returncode == 0
