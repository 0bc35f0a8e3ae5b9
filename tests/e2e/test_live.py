"""What cars say, told live: cars at replicas of car-protocol, readers at gateways, all processes of their own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest

from fixtures.cars import Peer
from fixtures.gateway import send_message
from fixtures.replicas import OWNER_PASSWORD, Gateway, Replica, Rig
from fixtures.streams import Reader, reading
from fixtures.visitors import becomes
from fixtures.waiting import until_told
from ovms.identity import Role

EVENTS = "/api/v1/vehicles/DEMO/events"


class WentBack(Exception):
    """A stream has delivered a state that is older than one before it."""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(replicas=2, gateways=2, owners={"demo": ["DEMO", "CRASH"]}, environment={"OVMS_EVENT_HEARTBEAT": "1"}) as rig:
        yield rig


async def car_at(replica: Replica, vehicle_id: str = "DEMO") -> Peer:
    car = Peer(Role.CAR, vehicle_id)
    await car.connect(replica.port)
    await car.welcomed()
    return car


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.url, auth=("demo", OWNER_PASSWORD))


@pytest.fixture
async def car(rig: Rig) -> AsyncIterator[Peer]:
    car = await car_at(rig.replicas[0])
    yield car
    car.close()


async def test_what_a_car_says_is_told_at_every_gateway(rig: Rig, car: Peer) -> None:
    async with (
        client_of(rig.gateways[0]) as one,
        client_of(rig.gateways[1]) as two,
        reading(one, EVENTS) as first,
        reading(two, EVENTS) as second,
    ):
        for stream in (first, second):
            await stream.until("presence", connected=True)
        car.send(b"S75,K,230", b"PAinterrupted")
        for stream in (first, second):
            assert (await stream.until("state", code="S"))["values"]["soc"] == 75.0
            assert (await stream.until("notification"))["text"] == "interrupted"


async def test_nothing_falls_between_the_newest_and_what_follows(rig: Rig, car: Peer) -> None:
    async def drive() -> None:
        number = 0
        while True:
            number += 1
            car.send(b"S%d,K" % (number % 100), b"F%d" % number)
            await asyncio.sleep(0.002)

    driving = asyncio.create_task(drive())
    async with client_of(rig.gateways[0]) as client:
        for _ in range(10):
            async with reading(client, EVENTS) as stream:
                first = int((await stream.until("state", code="F"))["values"]["version"])
                second = int((await stream.until("state", code="F"))["values"]["version"])
                # None is passed over but those in place of which a newer one came, and none comes back.
                assert first <= second <= first + 200
    driving.cancel()
    # What was said last is told to whoever comes now, wherever it still waits.
    car.send(b"Flast")
    async with client_of(rig.gateways[1]) as client, reading(client, EVENTS) as stream:
        await tells(stream, "last")


async def tells(stream: Reader, version: str) -> None:
    """Read on until the car's firmware has this version."""
    while (await stream.until("state", code="F"))["values"]["version"] != version:
        pass


async def test_a_reader_goes_on_at_another_gateway(rig: Rig, car: Peer) -> None:
    async with client_of(rig.gateways[0]) as client, reading(client, EVENTS) as stream:
        car.send(b"S10,K", b"Fbefore")
        await tells(stream, "before")
        while stream.last_id is None:
            await stream.next()
        last = stream.last_id
    car.send(b"S20,K")
    async with client_of(rig.gateways[1]) as client, reading(client, EVENTS, headers={"Last-Event-ID": last}) as stream:
        assert (await stream.until("missed"))["since"]
        assert (await stream.until("state", code="S"))["values"]["soc"] == 20.0


async def test_who_watches_makes_the_car_report_more_often(rig: Rig, car: Peer) -> None:
    async with client_of(rig.gateways[0]) as client, reading(client, EVENTS, params={"watch": "1"}) as stream:
        await stream.until("presence", apps=1)
        await car.until_hears(b"Z1")
    await car.until_hears(b"Z0")


async def test_a_car_that_moves_is_heard_where_it_is(rig: Rig, car: Peer) -> None:
    async with client_of(rig.gateways[0]) as client, reading(client, EVENTS) as stream:
        await stream.until("presence", connected=True)
        moved = await car_at(rig.replicas[1])
        moved.send(b"S30,K")
        assert (await stream.until("state", code="S", vehicle="DEMO"))["values"]["soc"] in (20.0, 30.0)
        moved.send(b"Fmoved")
        await tells(stream, "moved")
        moved.close()


async def test_after_redis_was_away_all_is_told(rig: Rig, car: Peer) -> None:
    async with client_of(rig.gateways[0]) as client, reading(client, EVENTS) as stream:
        await stream.until("presence", connected=True)
        await rig.aside(rig.valkey.kill)
        car.send(b"S40,K", b"Funheard")
        await car.drain()
        await rig.aside(rig.valkey.start)
        assert (await stream.until("missed"))["since"]
        await tells(stream, "unheard")


@pytest.fixture
async def doomed(rig: Rig) -> AsyncIterator[Peer]:
    """A car at a replica that the test kills."""
    replica = rig.replicas[1]
    car = await car_at(replica, "CRASH")
    yield car
    car.close()
    if not replica.is_running:
        await rig.aside(replica.start)


@pytest.fixture
async def store(rig: Rig) -> AsyncIterator[asyncpg.Connection]:
    """A connection to PostgreSQL."""
    connection = await asyncpg.connect(rig.postgres.url)
    yield connection
    await connection.close()


async def test_a_stream_never_goes_back_to_what_a_replica_wrote_before_its_crash(
    rig: Rig, doomed: Peer, store: asyncpg.Connection
) -> None:
    async with client_of(rig.gateways[0]) as client, reading(client, "/api/v1/vehicles/CRASH/events") as stream:
        doomed.send(b"S75,K")
        await stream.until("state", code="S")
        await until_told(store, "SELECT count(*) = 1 FROM messages JOIN vehicles ON vehicles.id = vehicle WHERE data = '75,K'")
        async with store.transaction():
            await store.execute("LOCK TABLE messages IN SHARE MODE")  # it can be read, but the replica cannot write
            doomed.send(b"S76,K")
            assert (await stream.until("state", code="S"))["values"]["soc"] == 76.0
            await rig.aside(rig.replicas[1].kill)
            # What the replica had sent to PostgreSQL ends with it, and is not done once the table is free.
            await store.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        await rig.aside(rig.valkey.kill)
        await send_message(store, "CRASH", "Fread again")
        await rig.aside(rig.valkey.start)
        # The feed reads the tables again once it has subscribed again: F comes with what it has read.
        while (event := await stream.next()) is not None and event.data.get("code") != "F":
            if event.data.get("code") == "S" and event.data["values"]["soc"] != 76.0:
                raise WentBack(event.data["values"]["soc"])
        assert event is not None, "the stream has ended"


async def test_a_gateway_that_stops_ends_its_streams(rig: Rig, car: Peer) -> None:
    gateway = rig.gateways[1]
    async with client_of(gateway) as client, reading(client, EVENTS) as stream:
        await stream.until("presence")
        gateway.process.terminate()
        await stream.rest()
        assert stream.comments[-1] == "The server is going away"
    await becomes(lambda: gateway.is_running, False, 15)
    assert gateway.process.returncode == 0
