"""What real clients need of both services together, an item a test; many others have their test where they belong.

Elsewhere: logins of every form, garbage and wrong passwords (`test_sessions`), lines of 1.2 MB, history sent three times
(`test_messages`), isolation under churn (`test_isolation`), tokens (`test_token_calls`).
"""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.connections.connection import Connection
from fixtures.cars import DEADLINE, CarService, Peer
from fixtures.gateway import hashed, running
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role

SIGN_IN = {"username": "demo", "password": "secret"}
SESSION = 1.5
"""Seconds that an HTTP session lives, in place of 360."""
STATE = b"S75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,4,0,0,0,0,160.25,200,120,0,0,0,0,0,95,0,0,310"
DOORS = b"D213,216,4,45,40,22,1234,456789,88,3600,21,2,1,1,12.8,4,12.7,16,33,1.2"
LOCATION = b"L22.274165,114.185715,124,34,1,1,88,1234,1,-3.6,1200,320,7.5,93,AA,9,1.1,87,98"
TYRES = b"Y4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,0,0,-1,4,0,1,2,0,1"


@pytest.fixture
async def api(
    car_service: CarService, pool: Pool, database_url: str, redis_url: str, secret_keys: str, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """The address of an API on the same stores; the owner of the vehicles is `demo`."""
    await pool.execute("UPDATE owners SET name = 'demo', password_hash = $1", hashed("secret"))
    lifetime = getattr(request, "param", 360.0)
    stores = {"database_url": database_url, "redis_url": redis_url, "secret_keys": secret_keys}
    settings = GatewaySettings(**stores, api_session_timeout=lifetime)
    async with running(settings, io.BytesIO()) as port:
        yield f"http://127.0.0.1:{port}"


class WirePeer(Peer):
    """A peer that keeps the bytes that it was sent, too."""

    wire = b""

    def data_received(self, data: bytes) -> None:
        self.wire += data
        super().data_received(data)


async def wire_peer(service: CarService, role: Role, vehicle_id: str = "DEMO") -> WirePeer:
    peer = WirePeer(role, vehicle_id)
    service.peers.append(peer)
    await peer.connect(service.port)
    await peer.welcomed()
    return peer


def connection_of(service: CarService, vehicle_id: str = "DEMO") -> Connection:
    """The server's end of a car's connection."""
    (car,) = [room.car for room in service.running.server.hub if room.vehicle_id == vehicle_id]
    assert isinstance(car, Connection)
    return car


# ---- lines (items 4 and 5)


async def test_what_greets_a_car_fits_its_buffer_and_no_line_is_empty(car_service: CarService) -> None:
    """Item 4: the burst at a login stays under 1,024 bytes, however many watch; every line ends with CR LF, none is empty."""
    watchers = [await wire_peer(car_service, role) for role in [Role.APP] * 20 + [Role.BATCH] * 3]
    car = await wire_peer(car_service, Role.CAR)
    await car.until_hears(b"Z20")
    assert len(car.wire) < 1024
    car.send(STATE, b"F1,VIN", b"PAalert", b"h1,0,*-LOG,1,60,x", b"h2", b"gNORTH,1", b"ETtoken", b"EMSc2VhbGVk", b"P")
    await car.until_hears(b"h2")
    for watcher in watchers:
        watcher.send(b"C7,x", b"C31", b"GNORTH", b"C", b"G", b"E")
        await watcher.drain()
    for peer in (car, *watchers):
        lines = peer.wire.split(b"\r\n")
        assert lines.pop() == b""
        assert all(lines)
        assert b"\n" not in b"".join(lines)
    assert all(len(line) < 1022 for line in car.wire.split(b"\r\n"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_a_line_end_in_packets_of_its_own(car_service: CarService, end: bytes) -> None:
    """Item 5: CR and LF each in a packet of its own, and LF alone."""
    car, app, _ = await car_service.scene()
    connection = connection_of(car_service)
    for number in range(3):
        car._session.send(b"S%d" % number)
        line = car._session.data_to_send().removesuffix(b"\r\n")
        for piece in (line, *(bytes([byte]) for byte in end)):
            before = connection._received
            car.transport.write(piece)
            await until(lambda before=before, piece=piece: connection._received == before + len(piece), DEADLINE)
        await app.hears(b"S%d" % number, b"T0")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("line", ["blank", "no code"])
async def test_a_line_without_a_message_ends_the_connection(car_service: CarService, role: Role, line: str) -> None:
    """Item 5: a blank line, and `MP-0 ` without a code."""
    peer = await car_service.login(role, "DEMO")
    if line == "no code":
        peer.send(b"")
    else:
        peer.transport.write(b"\r\n")
    await peer.closed()


async def test_an_answer_that_nobody_ever_asked_for_is_told_to_all(car_service: CarService) -> None:
    """Item 5: where no command was ever sent; the reference's reader of that car was dead from then on."""
    car, app, batch = await car_service.scene()
    car.send(b"c7,0,hello", b"S1")
    for watcher in (app, batch):
        await watcher.hears(b"c7,0,hello", b"S1", b"T0")


# ---- history (item 10)


async def test_a_sealed_record_is_ignored(car_service: CarService) -> None:
    """Item 10: `EMh`, whose number is sealed, is neither acknowledged nor forwarded, and harms nothing."""
    car, app, _ = await car_service.scene()
    car.send(b"ETtoken", b"EMh1,2", b"EMhc2VhbGVk", b"h3,0,*-LOG,3,60,x")
    await car.hears(b"h3")
    assert await app.drain() == [b"ETtoken"]
    assert [number for _, number, _ in await car_service.history()] == [3]


# ---- commands (item 11)


def rows(count: int, number: int = 1) -> list[bytes]:
    """An answer in that many parts."""
    return [b"c%d,0,%d,%d,%d" % (number, index, count, index) for index in range(count)]


async def test_thirty_two_rows_go_to_the_asker_alone_in_order(car_service: CarService) -> None:
    """Item 11: two apps and a batch client ask at once; each gets the answer to its own, all rows in order."""
    car, app, batch = await car_service.scene()
    other = await car_service.app()
    await other.until_hears(b"T3020399")
    await car.hears(b"Z2")
    for asker in (app, batch, other):
        asker.send(b"C1")
        await car.hears(b"C1")
    for _ in range(3):
        car.send(*rows(32))
    for asker in (app, batch, other):
        await asker.hears(*rows(32))
        assert await asker.drain() == []


async def test_an_asker_who_leaves_within_his_answer_misroutes_nothing(car_service: CarService) -> None:
    """Item 11: the rest of it is for nobody, and the next asker gets all of his."""
    car, app, batch = await car_service.scene()
    app.send(b"C1")
    await car.hears(b"C1")
    batch.send(b"C1")
    await car.hears(b"C1")
    car.send(*rows(32)[:10])
    await app.hears(*rows(32)[:10])
    app.close()
    await car.hears(b"Z0")
    car.send(*rows(32)[10:], *rows(32))
    await batch.hears(*rows(32))
    assert await batch.drain() == []


async def test_a_car_that_drops_takes_its_open_commands_along(car_service: CarService) -> None:
    """Item 11: its next session answers nobody's old question; the answer is one that nobody asked for."""
    car, app, batch = await car_service.scene()
    app.send(b"C7,x")
    await car.hears(b"C7,x")
    car.close()
    for watcher in (app, batch):
        await watcher.hears(b"Z0")
    again = await car_service.car()
    again.send(b"c7,0,late")
    for watcher in (app, batch):
        await watcher.hears(b"Z1", b"c7,0,late")


async def test_a_descriptor_that_is_used_again_is_another_connection(car_service: CarService) -> None:
    """Item 11: who gets the socket number of an asker who has left gets nothing of his; the reference once mixed them up."""
    car = await car_service.car()
    await car.hears(b"Z0")
    server = car_service.running.server
    for _ in range(20):
        app = await car_service.app()
        await car.hears(b"Z1")
        app.send(b"C7,secret", b"GNORTH")
        await car.hears(b"C7,secret")
        number = descriptors(car_service, but=[car])
        app.close()
        await car.hears(b"Z0")
        await until(lambda: len(server.connections) == 1, DEADLINE)
        stranger = await car_service.app("Other-1")
        assert descriptors(car_service, but=[car]) == number
        car.send(b"c7,0,answer", b"gNORTH,1", b"S1")
        await car.drain()
        assert await stranger.drain() == [b"Z0", b"T3020399"]
        stranger.close()
        await until(lambda: len(server.connections) == 1, DEADLINE)


def descriptors(service: CarService, but: list[Peer]) -> set[int]:
    """The server's socket numbers, but those of some peers."""
    ports = {peer.transport.get_extra_info("sockname")[1] for peer in but}
    sockets = [
        connection._transport.get_extra_info("socket")
        for connection in service.running.server.connections
        if isinstance(connection, Connection)
    ]
    return {one.fileno() for one in sockets if one.getpeername()[1] not in ports}


# ---- HTTP (items 6, 7, 9 and 12)


@pytest.mark.parametrize("api", [SESSION], indirect=True)
async def test_polling_a_vehicle_keeps_a_session_and_its_car_informed_and_reading_does_not(
    api: str, car_service: CarService
) -> None:
    """Item 9: a client that polls `/api/vehicle` lives on; one that only reads gets 401, and its car is told."""
    car = await car_service.car()
    await car.hears(b"Z0")
    async with httpx.AsyncClient(base_url=api) as polling, httpx.AsyncClient(base_url=api) as reading:
        for client in (polling, reading):
            assert (await client.get("/api/cookie", params=SIGN_IN)).status_code == 200
            assert (await client.get("/api/vehicle/DEMO")).status_code == 200
        await car.hears(b"Z1", b"Z2")
        async with asyncio.timeout(DEADLINE):
            while (await reading.get("/api/status/DEMO")).status_code == 200:
                assert (await polling.get("/api/vehicle/DEMO")).status_code == 200
        assert (await reading.get("/api/vehicle/DEMO")).status_code == 401
        async with asyncio.timeout(DEADLINE):
            while b"Z1" not in car.heard:
                assert (await polling.get("/api/vehicle/DEMO")).status_code == 200
        assert car.heard == [b"Z1"]
    await car.hears(b"Z1", b"Z0")


@pytest.mark.parametrize("api", [SESSION], indirect=True)
async def test_a_login_in_the_query_leaves_no_peer_behind(api: str, car_service: CarService) -> None:
    """Item 9: `/api/vehicle` with a login in its query is one app for a while, however often it is called."""
    car = await car_service.car()
    await car.hears(b"Z0")
    async with httpx.AsyncClient(base_url=api) as client:
        for _ in range(5):
            answer = await client.get("/api/vehicle/DEMO", params=SIGN_IN)
            assert answer.json()["v_apps_connected"] == 1
    await car.hears(b"Z1", b"Z0")


async def test_a_car_that_logs_in_again_is_one_over_http(api: str, car_service: CarService) -> None:
    """Item 12: `v_net_connected` is 1 and never 2, while the car's sessions replace each other."""
    app = await car_service.app()
    await app.hears(b"Z0", b"T3020399")
    await car_service.car()
    await app.hears(b"Z1")
    seen = set()
    async with httpx.AsyncClient(base_url=api) as client:
        await client.get("/api/cookie", params=SIGN_IN)
        async with asyncio.timeout(DEADLINE):
            while (await vehicle(client))["v_net_connected"] != 1:
                pass
        for _ in range(3):  # the fourth within two minutes would be slowed down
            await car_service.car()
            seen.add((await vehicle(client))["v_net_connected"])
            await app.hears(b"Z0", b"Z1")
            seen.add((await vehicle(client))["v_net_connected"])
    assert seen == {1}


async def vehicle(client: httpx.AsyncClient) -> dict[str, Any]:
    """The first of the list: four members, no more (one client makes an object of them)."""
    (first, *_) = (await client.get("/api/vehicles")).json()
    assert set(first) == {"id", "v_apps_connected", "v_btcs_connected", "v_net_connected"}
    return dict(first)


async def test_the_calls_of_evcc_in_their_order(api: str, car_service: CarService) -> None:
    """Item 7: a call that fails without a session, the cookie, the vehicle, and the calls again; with Go's strict types."""
    car = await car_service.car()
    car.send(STATE, DOORS, LOCATION)
    await car.drain()
    await car_service.written()
    async with httpx.AsyncClient(base_url=api) as client:
        assert (await client.get("/api/charge/DEMO")).status_code == 401
        assert (await client.get("/api/cookie", params=SIGN_IN)).is_success
        connected = (await client.get("/api/vehicle/DEMO")).json()
        charge = (await client.get("/api/charge/DEMO")).json()
        status = (await client.get("/api/status/DEMO")).json()
        location = (await client.get("/api/location/DEMO")).json()
    assert connected["v_net_connected"] == 1
    # `json:",string"` takes a string with a number in it, and nothing else.
    numbers = {
        "soc": charge["soc"],
        "charge_etr_full": charge["charge_etr_full"],
        "estimatedrange": charge["estimatedrange"],
        "staleambient": charge["staleambient"],
        "odometer": status["odometer"],
        "latitude": location["latitude"],
        "longitude": location["longitude"],
    }
    assert numbers == {
        "soc": "75.5",
        "charge_etr_full": "200",
        "estimatedrange": "251",
        "staleambient": "1",
        "odometer": "456789",
        "latitude": "22.274165",
        "longitude": "114.185715",
    }
    assert (charge["chargestate"], charge["units"], status["units"]) == ("charging", "K", "K")
    assert type(charge["cp_dooropen"]) is int
    assert type(charge["m_msgage_s"]) is int
    assert charge["m_msgage_s"] < 30


async def test_the_calls_of_openwb_in_their_order(api: str, car_service: CarService) -> None:
    """Item 7: a token with the login in the query and fields that are files, the state with it, and its removal."""
    car = await car_service.car()
    car.send(STATE, DOORS)
    await car.drain()
    await car_service.written()
    async with httpx.AsyncClient(base_url=api) as client:
        fields = {"application": ("application", b"openWB"), "purpose": ("purpose", b"soc")}
        made = await client.post("/api/token", params=SIGN_IN, files=fields)
        assert made.status_code == 201
        token = made.json()
        assert (token["application"], token["purpose"], token["owner"]) == ("openWB", "soc", "demo")
        with_token = {"username": "demo", "password": token["token"]}
        assert (await client.get("/api/token", params=with_token)).status_code == 403
        status = (await client.get("/api/status/DEMO", params=with_token)).json()
        assert "OVMS: soc=" + status["soc"] + ", range=" + status["estimatedrange"] == "OVMS: soc=75.5, range=251"
        assert {"odometer", "vehicle12v", "m_msgtime_s"} <= set(status)
        assert (await client.delete(f"/api/token/{token['token']}", params=SIGN_IN)).status_code == 200
        assert (await client.get("/api/status/DEMO", params=with_token)).status_code == 401


async def test_the_calls_of_home_assistant_at_once(api: str, car_service: CarService) -> None:
    """Items 7 and 14: five calls in parallel on one session, tyres of a V3 module among them; then an app's command."""
    car = await car_service.car()
    car.send(STATE, DOORS, LOCATION, TYRES)
    await car.drain()
    await car_service.written()
    async with httpx.AsyncClient(base_url=api) as client:
        await client.get("/api/cookie", params=SIGN_IN)
        paths = [f"/api/{call}/DEMO" for call in ("status", "charge", "location", "tpms", "vehicle")]
        answers = await asyncio.gather(*map(client.get, paths))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[3].json()["fl_pressure_kpa"] == "250"
    app = await car_service.app()
    await app._until(lambda: any(message.startswith(b"T") for message in app.heard))
    app.send(b"C1")
    await car.until_hears(b"C1")
    car.send(b"c1,0,0,1,0")
    await app.until_hears(b"c1,0,0,1,0")


async def test_a_vehicle_without_messages_is_an_empty_object(api: str, car_service: CarService) -> None:
    """Item 6: `{}` and a line end, three bytes, which one client counts."""
    async with httpx.AsyncClient(base_url=api, params=SIGN_IN) as client:
        for call in ("status", "charge", "location", "tpms"):
            assert (await client.get(f"/api/{call}/Other-1")).content == b"{}\n"
