"""What both services tell Prometheus, after all kinds of traffic: it is what has happened."""

import asyncio
import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from fixtures.cars import Peer
from fixtures.observability import expressions, metrics_of
from fixtures.replicas import OWNER_PASSWORD, Gateway, Replica, Rig
from fixtures.scraping import Scrape, promtool
from fixtures.streams import reading
from fixtures.waiting import until
from ovms.identity import Role

VEHICLE_LABELS = {"vehicle", "vehicle_id", "vehicleid", "car", "id"}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(replicas=1, gateways=1, owners={"demo": ["DEMO"]}) as rig:
        yield rig


@pytest.fixture
def replica(rig: Rig) -> Replica:
    return rig.replicas[0]


@pytest.fixture
def gateway(rig: Rig) -> Gateway:
    return rig.gateways[0]


async def joined(replica: Replica, role: Role) -> Peer:
    peer = Peer(role, "DEMO")
    await peer.connect(replica.port)
    await peer.welcomed()
    return peer


async def scrape(rig: Rig, port: int) -> Scrape:
    return await rig.aside(Scrape.of, port)


async def test_metrics_are_what_has_happened(rig: Rig, replica: Replica, gateway: Gateway) -> None:
    first = await joined(replica, Role.CAR)
    car = await joined(replica, Role.CAR)  # which ends the other
    await first.closed()
    app = await joined(replica, Role.APP)
    stranger = Peer(Role.CAR, "DEMO", b"wrong")
    await stranger.connect(replica.port)
    await stranger.closed()
    async with httpx.AsyncClient(base_url=gateway.url, auth=("demo", OWNER_PASSWORD)) as client:
        async with reading(client, "/api/v1/vehicles/DEMO/events") as stream:
            await stream.until("presence", connected=True)
            car.send(b"S75,K,230", b"h1,0,Test,1,86400,one", b"?what", b"D0,0,5")
            await stream.until("state", code="D")
            await until(lambda: b"h1" in car.heard)
            open_streams = await scrape(rig, gateway.metrics_port)
            assert open_streams.value("ovms_event_streams") == 1
        order = client.post("/api/v1/vehicles/DEMO/commands", json={"kind": "lock", "arguments": {"pin": "1"}})
        ordered = asyncio.create_task(order)
        await until(lambda: any(message.startswith(b"C20,") for message in car.heard))
        car.send(b"c20,0,done")
        assert (await ordered).status_code == 202
        await client.get("/api/v1/vehicles/DEMO/state")
        await client.get("/api/no/such/call?with=anything")

        cars = await scrape(rig, replica.health_port)
        assert [cars.value("ovms_logins_total", result=result) for result in ("accepted", "refused")] == [3, 1]
        assert [cars.value("ovms_sessions", peer=peer) for peer in ("car", "app", "batch")] == [1, 1, 0]
        assert cars.value("ovms_takeovers_total", by="here") == 1
        received = {code: cars.value("ovms_messages_total", direction="received", code=code) for code in "SDhc"}
        assert received == {"S": 1, "D": 1, "h": 1, "c": 1}
        assert cars.value("ovms_messages_total", direction="received", code="other") == 1
        # What the app was sent of both states, and the car of its record and the command.
        sent = {code: cars.value("ovms_messages_total", direction="sent", code=code) for code in "SDhC"}
        assert sent == {"S": sum(m[:1] == b"S" for m in app.heard), "D": 1, "h": 1, "C": 1}
        assert cars.value("ovms_rows_written_total") >= 3
        assert cars.value("ovms_batch_rows_count") == cars.value("ovms_batch_seconds_count") > 0
        assert cars.value("ovms_acknowledgements_waiting") == 0
        for stage in ("login", "written", "published"):
            assert cars.value("ovms_stage_seconds_count", stage=stage) > 0, stage
        assert cars.value("ovms_replica_state", state="serving") == 1

        calls = await until_told(rig, gateway)
        state = {"method": "GET", "route": "/api/v1/vehicles/{vehicle_id}/state", "status": "200"}
        assert calls.value("ovms_http_request_duration_seconds_count", **state) == 1
        unknown = {"method": "GET", "route": "-", "status": "404"}
        assert calls.value("ovms_http_request_duration_seconds_count", **unknown) == 1
        assert calls.value("ovms_events_told_total", kind="state") >= 2
        assert calls.value("ovms_stage_seconds_count", stage="told") > 0
        assert calls.value("ovms_event_streams") == 0
    car.close()
    app.close()


async def until_told(rig: Rig, gateway: Gateway) -> Scrape:
    """A scrape in which the command has come to its end, which happens after the car has answered."""
    async with asyncio.timeout(15):
        while True:
            told = await scrape(rig, gateway.metrics_port)
            states = {state: told.value("ovms_commands_total", state=state) for state in ("queued", "sent", "succeeded")}
            if states == dict.fromkeys(states, 1.0) and not told.value("ovms_event_streams"):
                return told
            await asyncio.sleep(0.05)


def test_names_and_units_are_those_of_the_field_and_no_label_is_a_vehicle(rig: Rig) -> None:
    for port in (rig.replicas[0].health_port, rig.gateways[0].metrics_port):
        told = Scrape.of(port)
        assert all(name.startswith(("ovms_", "process_", "python_")) for name in told.names)
        assert not {label for name in told.names for label in told.labels(name)} & VEHICLE_LABELS
        assert "DEMO" not in told.text
        if (tool := promtool()) is None:
            continue
        checked = subprocess.run([tool, "check", "metrics"], input=told.text, capture_output=True, text=True, check=False)
        ours = [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("ovms")]
        assert ours == []


async def test_alerts_panels_and_pages_ask_for_what_there_is(rig: Rig, replica: Replica, gateway: Gateway) -> None:
    # What has never been is told without its labels.
    car = await joined(replica, Role.CAR)
    car.send(b"S75,K,230", b"A")
    await until(lambda: b"a" in car.heard)
    stranger = Peer(Role.APP, "DEMO")
    await stranger.connect(replica.port, introduce=False)
    stranger.transport.write(b"nonsense\r\n")
    await stranger.closed()
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        await client.get("/livez")
    car.close()
    told = [await scrape(rig, port) for port in (replica.health_port, gateway.metrics_port)]
    known = told[0].names | told[1].names
    # Prometheus adds these.
    labels = {name: {"job", "instance"}.union(*(each.labels(name) for each in told)) for name in known}
    wrong = {
        (where, name, *sorted(chosen_by - labels.get(name, set())))
        for where, asked in expressions().items()
        for name, chosen_by in metrics_of(asked)
        if name not in known or not chosen_by <= labels[name]
    }
    assert wrong == set()


def test_the_dashboard_shows_all_that_is_told(rig: Rig) -> None:
    shown = {name for where, asked in expressions().items() if where.startswith("panel ") for name, _ in metrics_of(asked)}
    for port in (rig.replicas[0].health_port, rig.gateways[0].metrics_port):
        families = {
            re.sub("_(bucket|count|sum|total)$", "", name) for name in Scrape.of(port).names if name.startswith("ovms_")
        }
        assert families <= {re.sub("_(bucket|count|sum|total)$", "", name) for name in shown}


async def test_who_drains_says_so(rig: Rig) -> None:
    replica = rig.add_replica()
    replica.environment["OVMS_DRAIN_RATE"] = "0.1"
    replica.environment["OVMS_DRAIN_TIMEOUT"] = "10"
    await rig.aside(replica.start)
    car = await joined(replica, Role.CAR)
    replica.process.terminate()
    await drains(rig, replica)
    car.close()
    assert await rig.aside(replica.process.wait, 15) == 0


async def drains(rig: Rig, replica: Replica) -> None:
    """Wait until it says that it does."""
    async with asyncio.timeout(15):
        while True:
            told = await scrape(rig, replica.health_port)
            if told.value("ovms_replica_state", state="draining"):
                return
            await asyncio.sleep(0.02)
