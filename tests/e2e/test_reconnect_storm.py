"""A replica is killed, and its whole fleet comes back within two seconds, as the firmware does it."""

import asyncio
import random
import resource
import time
from collections.abc import Iterator
from typing import cast

import pytest

from fixtures.cars import make_token
from fixtures.replicas import HOST, VEHICLE_PASSWORD, Rig
from ovms.identity import Role
from ovms.protocol import ClientSession, Welcomed

FLEET = 5000
WITHIN = 2.0
"""All sessions have ended at the same moment, and the firmware waits for exactly 10 s; what is left is a little jitter."""
ALL_IN_WITHIN = 15.0
PATIENCE = 30.0


class Car(asyncio.Protocol):
    """A module that logs in, checks the server's proof and says nothing more."""

    def __init__(self, vehicle_id: str) -> None:
        self.vehicle_id = vehicle_id
        self.cut_off = 0
        """How often its connection ended after its login and before `MP-S`: newer firmware does not come back after that."""
        self.refused = 0
        self.is_in = False
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._session = ClientSession(Role.CAR, self.vehicle_id, VEHICLE_PASSWORD, make_token())
        self._transport.write(self._session.data_to_send())
        self._waits = True

    def data_received(self, data: bytes) -> None:
        self._session.receive_data(data)
        for event in self._session.events():
            if isinstance(event, Welcomed):
                self._waits, self.is_in = False, True
                self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.cut_off += self._waits
        self.is_in = False
        self._changed.set()

    async def come(self, port: int) -> None:
        """Connect soon, and again where that is refused; return once it is in."""
        await asyncio.sleep(random.uniform(0, WITHIN))
        while not self.is_in:
            self._changed.clear()
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, HOST, port)
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(random.uniform(0.5, 1.5))
                continue
            await self._changed.wait()

    async def gone(self) -> None:
        while self.is_in:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        self._transport.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the system lets us have, here and in what is started here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_whole_fleet_is_back_soon_and_nobody_is_cut_off(many_files: None) -> None:
    cars = [Car(f"CAR{number}") for number in range(FLEET)]
    with Rig(replicas=1, gateways=0, owners={"fleet": [car.vehicle_id for car in cars]}) as rig:
        [replica] = rig.replicas
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(car.come(replica.port) for car in cars))

        replica.kill()
        began = time.monotonic()
        replica.start(ready=False)
        await asyncio.gather(*(car.gone() for car in cars))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(car.come(replica.port) for car in cars))
        took = time.monotonic() - began

        assert [car.vehicle_id for car in cars if car.cut_off] == []
        assert took < ALL_IN_WITHIN
        assert [car.vehicle_id for car in cars if not car.is_in] == []
        assert await asyncio.to_thread(replica.metric, "ovms_connections") == FLEET
        assert any(car.refused for car in cars), "the port was closed for a while"
        for car in cars:
            car.close()
