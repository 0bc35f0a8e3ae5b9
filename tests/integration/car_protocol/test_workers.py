"""car-protocol as several processes on one port."""

import asyncio
import socket
import urllib.error
from collections.abc import AsyncIterator

import psutil
import pytest

from bench.process import metric
from fixtures.cars import Peer, add_vehicles
from fixtures.processes import MakeReplica
from fixtures.replicas import HOST, Replica
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role

# So many that no worker is left out by chance: the kernel draws one for each.
NAMES = [f"CAR{number}" for number in range(40)]


class Workers:
    """A replica of two workers, and the cars at it."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._cars: dict[str, Peer] = {}

    @property
    def cars(self) -> list[Peer]:
        return list(self._cars.values())

    async def connect_all(self) -> None:
        """Connect the cars that are not connected."""
        here = {name for name, peer in self._cars.items() if not peer.is_closed}
        come = {name: Peer(Role.CAR, name) for name in NAMES if name not in here}
        await asyncio.gather(*(peer.connect(self.replica.port) for peer in come.values()))
        await asyncio.gather(*(peer.welcomed() for peer in come.values()))
        self._cars |= come

    def counts(self) -> list[int]:
        """Connections of each worker, as it says itself."""
        ports = self.replica.health_port, self.replica.health_port + 1
        return [int(metric(port, "ovms_connections")) for port in ports]

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.replica.pid).children()


@pytest.fixture
async def workers(make_replica: MakeReplica, pool: Pool, secret_keys: str) -> AsyncIterator[Workers]:
    await add_vehicles(pool, secret_keys, *NAMES)
    replica = make_replica(OVMS_WORKERS=2)
    replica.start()
    await both_answer(replica)
    workers = Workers(replica)
    yield workers
    for peer in workers.cars:
        peer.close()


async def both_answer(replica: Replica) -> None:
    def answer() -> bool:
        try:
            return all(metric(port, "ovms_connections") >= 0 for port in (replica.health_port, replica.health_port + 1))
        except (urllib.error.URLError, OSError):
            return False

    await until(answer, 40)


async def test_both_serve_and_one_that_is_killed_is_replaced(workers: Workers, pool: Pool) -> None:
    await workers.connect_all()
    counts = await asyncio.to_thread(workers.counts)
    assert sum(counts) == len(NAMES)
    assert min(counts) > 0

    processes = workers.processes()
    processes[0].kill()
    await until(lambda: sum(peer.is_closed for peer in workers.cars) in counts)
    await until(lambda: len(alive(workers.processes())) == 2 and processes[0] not in workers.processes())
    await both_answer(workers.replica)
    await workers.connect_all()
    assert sum(await asyncio.to_thread(workers.counts)) == len(NAMES)

    for peer in workers.cars:
        peer.send(b"S1,2,3", b"h1,0,Test,1,86400,one")
    workers.replica.process.terminate()
    await until(lambda: workers.replica.process.poll() is not None, 40)
    assert workers.replica.process.returncode == 0
    await asyncio.gather(*(peer.closed() for peer in workers.cars))
    acknowledged = sum(b"h1" in peer.heard for peer in workers.cars)
    assert await pool.fetchval("SELECT count(*) FROM history WHERE record_type = 'Test'") >= acknowledged
    assert await pool.fetchval("SELECT count(*) FROM messages") > 0
    assert not [process for process in processes if process.is_running()]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (2, 2)])
async def test_a_second_stack_on_the_port_is_refused(make_replica: MakeReplica, first: int, second: int) -> None:
    running, refused = make_replica(OVMS_WORKERS=first), make_replica(OVMS_WORKERS=second)
    running.start()
    refused.environment["OVMS_V2_PORT"] = str(running.port)
    refused.start(ready=False)
    await until(lambda: not refused.is_running, 40)
    assert refused.process.returncode == 1
    line = refused.log.splitlines()[-1]
    assert line.startswith("car-protocol cannot start: ")
    assert str(running.port) in line
    assert "address already in use" in line.lower()
    assert running.is_ready()


async def test_a_port_that_one_worker_cannot_have_ends_all(make_replica: MakeReplica) -> None:
    replica = make_replica(OVMS_WORKERS=2)
    with socket.create_server((HOST, replica.health_port + 1)):
        replica.start(ready=False)
        await until(lambda: not replica.is_running, 40)
    assert replica.process.returncode == 1
    assert "address already in use" in replica.log.lower()
    assert "a worker cannot start; all end" in replica.log


async def test_a_wrong_setting_is_said_once(make_replica: MakeReplica) -> None:
    replica = make_replica(OVMS_WORKERS=0)
    replica.start(ready=False)
    await until(lambda: not replica.is_running, 40)
    assert replica.process.returncode == 2
    assert replica.log == "car-protocol: wrong settings: OVMS_WORKERS (Input should be greater than or equal to 1)\n"
