"""One trace from a car's line to the client of a stream of events, through both services and Redis."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import redis.asyncio

from fixtures.cars import Peer
from fixtures.collector import Collector, Span, collecting
from fixtures.replicas import OWNER_PASSWORD, Rig
from fixtures.streams import reading
from fixtures.waiting import until
from ovms.bus.messages import read_message
from ovms.identity import Role


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def rig(collector: Collector) -> Iterator[Rig]:
    environment = {"OVMS_OTLP_ENDPOINT": collector.url, "OVMS_TRACE_RATIO": "1", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Rig(owners={"demo": ["DEMO"]}, environment=environment) as rig:
        yield rig


def way(collector: Collector, code: str) -> list[Span]:
    """The spans of the message with a code, from the line on, each the child of the former."""
    lines = [span for span in collector.spans if span.name == "line" and f'"{code}"' in span.attributes]
    if len(lines) != 1:
        return []
    found = lines
    while following := [span for span in collector.spans if span.parent == found[-1].id]:
        found = [*found, following[0]]
    return found


async def test_one_trace_goes_from_the_line_to_the_client(rig: Rig, collector: Collector) -> None:
    heard: list[bytes] = []
    client = redis.asyncio.Redis.from_url(rig.valkey.url)
    async with client.pubsub() as pubsub:
        await pubsub.psubscribe("ovms:{DEMO}:*:messages")
        car = Peer(Role.CAR, "DEMO")
        await car.connect(rig.replicas[0].port)
        await car.welcomed()
        calls = httpx.AsyncClient(base_url=rig.gateways[0].url, auth=("demo", OWNER_PASSWORD))
        async with calls, reading(calls, "/api/v1/vehicles/DEMO/events") as stream:
            await stream.until("presence", connected=True)
            car.send(b"S75,K,230")
            await stream.until("state", code="S")
            await until(lambda: len(way(collector, "S")) == 4, 15)
        async with asyncio.timeout(10):
            while not heard:
                said = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                heard += [said["data"]] if said else []
    await client.aclose()
    spans = way(collector, "S")
    assert [(span.service, span.name) for span in spans] == [
        ("car-protocol", "line"),
        ("car-protocol", "publish"),
        ("api-gateway", "hear"),
        ("api-gateway", "tell"),
    ]
    assert len({span.trace for span in spans}) == 1
    assert spans[0].parent == b""
    # Subscribers of the public channel receive no trace of it.
    assert [read_message(body)[1] for body in heard] == [b"S75,K,230"]
    await until(lambda: "GET /api/v1/vehicles/{vehicle_id}/events" in {span.name for span in collector.spans}, 15)
    assert "DEMO" not in str(collector.spans)
    car.close()
    # What has ended is sent before a process ends.
    assert await rig.aside(rig.replicas[0].terminate) == 0
    assert await rig.aside(rig.gateways[0].terminate) == 0
